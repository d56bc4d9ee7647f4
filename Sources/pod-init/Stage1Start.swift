import CMusl

/// Starting a pod whose stage1 is an image: this process mounts what the stage1 expects and becomes its entry point,
/// the main process of `pod@UUID.service`.
enum Stage1Start {
    static func run(
        _ pod: PodRecords,
        configuration: PodConfiguration,
        apps: [Text],
        termination: Int32
    ) -> Never {
        // Nothing else runs yet.
        Role.beforeFailure = { _ in pod.startIsOver() }
        let isTemporary = exists(in: pod.directory, Text("temporary"))
        let stage1 = Stage1Root(pod.path, configuration)
        guard let program = stage1.program("Stage1Run") else { refuse(Text("runtime-config does not say Stage1Run")) }
        Stage1Root.clearRecords(in: pod.directory)
        stage1.mount(isTemporary: isTemporary)
        for app in apps { stage1.mountApp(app, isTemporary: isTemporary) }
        // While there still is somebody to tell.
        if !isExecutable(program) { fail(Text("the stage1's entry point ") + program) }
        replaceFile(in: pod.directory, Text("pid"), (Text("") + getpid() + "\n").utf8, mode: 0o640)
        if PodStart.isReadable(termination) {
            PodState.markStopping(pod.directory)
            pod.startIsOver()
            _exit(0)
        }
        Notify.send(Text("READY=1"))
        pod.startIsOver()
        stage1.become(program, stage1.arguments("run-arguments"), uuid: pod.uuid, lock: pod.lock)
    }
}

/// `rkt gc` and `rkt rm`: lets the stage1 of a pod that has ended remove what it has left on the host.
///
/// Arguments: the path of the pod's directory, UUID.
enum Stage1Collection {
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        Role.name = "stage1 gc"
        guard arguments.count == 2 else { refuse(Text("gc: too few arguments")) }
        let path = Text(arguments[0])
        let pod = openFile(path, O_RDONLY | O_DIRECTORY)
        let stage1 = Stage1Root(path, PodConfiguration(in: pod))
        guard let program = stage1.program("Stage1GC") else { _exit(0) }
        stage1.mount(isTemporary: exists(in: pod, Text("temporary")))
        stage1.become(program, stage1.arguments("gc-arguments"), uuid: arguments[1])
    }
}
