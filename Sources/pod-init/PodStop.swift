import CMusl

/// ExecStop= of `pod@.service`: stops the apps that still run, each by its own unit's rules, and waits for them.
///
/// Argument: UUID.
enum PodStop {
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        guard let uuid = arguments.first else { refuse(Text("stop: too few arguments")) }
        // One that has ended and was removed meanwhile has nothing left to stop.
        guard let pod = openIfThere(Text("/run/rkt/pods/") + uuid, O_RDONLY | O_DIRECTORY) else { _exit(0) }
        if PodState.allEnded(pod) { _exit(0) }
        let configuration = PodConfiguration(in: pod)
        if configuration.isImage { Stage1Stop.run(pod, uuid: uuid, configuration: configuration) }
        PodState.markStopping(pod)
        // A machine is asked by a signal, which is systemd's next step.
        if configuration.isMachine { _exit(0) }
        if check(fork(), Text("forking")) == 0 { PodState.stopApps(uuid) }
        var status: Int32 = 0
        while waitpid(-1, &status, 0) < 0, __errno_location().pointee == EINTR {}
        // The init waits for these.
        EndRecords.recordMissing(in: pod, uuid: uuid)
        _exit(status == 0 ? 0 : ExitStatus.setup)
    }
}
