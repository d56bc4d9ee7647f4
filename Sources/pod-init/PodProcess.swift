import CMusl

/// The pod's init as its starter sees it: a child of systemd, in the pod's namespaces.
struct PodProcess {
    /// Its process, as the host numbers it.
    let pid: Int32
    /// A byte opens the gate; closing it lets the init end: systemd knows it by then.
    private let handOver: Int32

    /// Starts the init and returns when it has set up the pod's namespaces.
    init(pod: PodRecords, configuration: PodConfiguration, journal: Text?, apps: [Text]) {
        let isolated = configuration.isIsolated
        let hasNetwork = configuration.hasOwnNetwork
        var namespaces: Int32 = isolated ? CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS : 0
        if hasNetwork { namespaces |= CLONE_NEWNET }
        let status = openFile(in: pod.directory, Text("status"), O_RDONLY | O_DIRECTORY)
        let ends = openFile(in: pod.directory, Text("ends"), O_RDWR | O_NONBLOCK)
        let notify = Notify.connect()
        let ready = makePipe()
        let handedOver = makePipe()
        var words = [
            Text("pod-init"), Text("pod"), Text(pod.uuid), Text(configuration.value("Hostname")),
            pod.path + "/rootfs", journal ?? Text("-"), pod.machineID,
            Text(hasNetwork ? "pn" : isolated ? "p" : "-"),
        ]
        words += apps
        guard let program = link(Text("/proc/self/exe")) else { fail(Text("finding pod-init")) }
        let child = check(fork_sibling(UInt(namespaces)), Text("starting the pod's init"))
        if child == 0 {
            // What follows a failure is the parent's.
            Role.beforeFailure = nil
            Self.become(
                program,
                words,
                [status, pod.directory, ready.writer, handedOver.reader, ends, notify, pod.lock]
            )
        }
        for fd in [status, ends, notify, ready.writer, handedOver.reader] { _ = close(fd) }
        // Its own message says what was wrong.
        guard let answer = contents(of: ready.reader, limit: 16), answer.first == 114 else {
            refuse(Text("the pod's init could not set up the pod"))
        }
        _ = close(ready.reader)
        pid = child
        handOver = handedOver.writer
    }

    /// Lets the apps' launchers go on: the init's pid is written down.
    func openGate() {
        if write(handOver, "g", 1) != 1 { fail(Text("opening the gate")) }
    }

    /// Lets the init end when its apps have: systemd has taken it as the pod's main process.
    func handedOver() {
        _ = close(handOver)
    }

    /// Executes the init with its descriptors at their places, the first of which is 3.
    private static func become(_ program: Text, _ words: [Text], _ descriptors: [Int32]) -> Never {
        var away: [Int32] = []
        for fd in descriptors { away.append(check(duplicate(fd, 64), Text("keeping a descriptor"))) }
        for (index, fd) in away.enumerated() { check(dup2(fd, Int32(3 + index)), Text("keeping a descriptor")) }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { $0.leaked() }
        arguments.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        _ = program.withCString { execve($0, &arguments, &environment) }
        fail(Text("executing ") + program)
    }
}

/// Makes a pipe that no program inherits.
func makePipe() -> (reader: Int32, writer: Int32) {
    var ends: (Int32, Int32) = (0, 0)
    let made = withUnsafeMutablePointer(to: &ends) {
        $0.withMemoryRebound(to: Int32.self, capacity: 2) { pipe2($0, O_CLOEXEC) }
    }
    check(made, Text("making a pipe"))
    return (ends.0, ends.1)
}
