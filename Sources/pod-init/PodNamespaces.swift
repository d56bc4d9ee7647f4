import CMusl

/// The pod's namespaces, as its init holds them.
struct PodNamespaces {
    /// One namespace: its name below `/proc/PID/ns` and below `/run/rkt/ns`, and its descriptor.
    private var open: [(name: StaticString, fd: Int32)] = []

    /// Opens the namespaces of a running pod, sure that they are its own.
    ///
    /// The init's number alone could by now be another process's. But the init holds the pod's lock until it dies: if
    /// the lock is held after the namespaces were opened, it was the init's number when they were.
    static func open(
        _ pod: Int32,
        uuid: UnsafePointer<CChar>,
        configuration: PodConfiguration
    ) -> PodNamespaces {
        // Launchers may be started before the init is there: a byte in the pipe says that the init is there, which
        // keeps it open while it lives. Where nobody is starting the pod, there is nothing to wait for.
        let lock = openFile(in: pod, Text("lock"), O_RDONLY)
        if is_marked(lock) == 0, !exists(in: pod, Text("starting")) { refuseStopped(uuid) }
        var gate = openGate(pod)
        var polled = [pollfd(fd: gate, events: Int16(POLLIN), revents: 0)]
        while true {
            // However long a busy host takes: as long as someone is at it.
            let count = poll(&polled, 1, gateInterval)
            if count == 1, polled[0].revents & Int16(POLLIN) != 0 { break }
            if is_marked(lock) == 0, !isStarting(pod) { refuseStopped(uuid) }
            // Whoever held the other side has gone, and somebody else is at it now.
            if count == 1 {
                _ = close(gate)
                gate = openGate(pod)
                polled[0].fd = gate
            }
        }
        _ = close(gate)
        guard let pid = contents(in: pod, Text("pid"), limit: 64).flatMap({ parseNumber($0) }) else {
            refuseStopped(uuid)
        }
        var namespaces = PodNamespaces()
        let names: [StaticString] = configuration.isIsolated ? ["pid", "ipc", "uts", "net"] : []
        for name in names {
            let fd = openFile(Text("/proc/") + pid + "/ns/" + name, O_RDONLY)
            namespaces.open.append((name, fd))
        }
        if is_marked(lock) == 0 { refuseStopped(uuid) }
        _ = close(lock)
        return namespaces
    }

    private static func openGate(_ pod: Int32) -> Int32 { openFile(in: pod, Text("gate"), O_RDONLY | O_NONBLOCK) }

    /// How often a launcher that waits for the init looks whether anyone still starts the pod, in milliseconds.
    private static let gateInterval: Int32 = 5_000

    /// Whether whoever asked systemd to start the pod still waits for that: then the mark is held.
    private static func isStarting(_ pod: Int32) -> Bool {
        guard let mark = openIfThere(in: pod, Text("starting"), O_RDONLY) else { return false }
        defer { _ = close(mark) }
        return is_marked(mark) != 0
    }

    private static func refuseStopped(_ uuid: UnsafePointer<CChar>) -> Never {
        refuse(
            Text("pod ") + uuid + " is not running: start pod@" + uuid + ".service",
            status: ExitStatus.podIsNotRunning
        )
    }

    /// Makes the namespaces reachable by fixed names, which is what the OCI runtime wants, for this process and its
    /// children alone.
    func bind() {
        if open.isEmpty { return }
        makeDirectory(Text("/run/rkt/ns"), mode: 0o700)
        for (name, fd) in open {
            let target = Text("/run/rkt/ns/") + name
            if !exists(in: AT_FDCWD, target) { writeFile(target, Text("")) }
            bindMount(fd, on: target)
            _ = close(fd)
        }
    }
}
