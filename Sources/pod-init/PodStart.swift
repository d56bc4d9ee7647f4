import CMusl

/// ExecStart= of `pod@.service`: makes a prepared or exited pod run, hands its init to systemd and is done.
///
/// Argument: UUID; further ones are for ``Foreground``. Runs as root, as the main process of `pod@UUID.service` or as a
/// child of `rkt run`.
enum PodStart {
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        Role.name = "pod-start"
        guard let uuid = arguments.first, isUUID(uuid) else {
            refuse(Text("pod@.service takes a pod's whole UUID: systemctl start pod@UUID"))
        }
        guard getenv("NOTIFY_SOCKET") != nil else {
            refuse(Text("only systemd runs this: systemctl start pod@") + uuid)
        }
        let foreground = Foreground(arguments.dropFirst())
        var clock = StageClock()
        let pod = PodRecords.take(uuid)
        let termination = blockTermination()
        Role.beforeFailure = { _ in giveUp(pod) }

        pod.refuseIfOutlived()
        let configuration = PodConfiguration(in: pod.directory)
        let apps = pod.apps()
        pod.clearLastRun(apps: apps)
        pod.makeRuntimeLink()
        if configuration.isMachine {
            clock.mark("files")
            MachineStart.run(
                pod,
                configuration: configuration,
                apps: apps,
                foreground: foreground,
                termination: termination,
                clock: clock
            )
        }
        if foreground != nil { refuse(Text("systemd is to start this pod, whose stage1 is not nspawn")) }
        if configuration.isImage {
            Stage1Start.run(pod, configuration: configuration, apps: apps, termination: termination)
        }
        HostFiles("host-files", of: pod).install(to: Text("/run"))
        let journal =
            equal(configuration.value("Journal"), "namespace") ? pod.ensureJournal(host: true) : nil
        clock.mark("files")

        // The apps' launchers take systemd as long as the init takes us: both at once. They wait at the gate.
        let start = AppsStart(pod: pod, apps: apps, interruption: termination)
        start.request()
        clock.mark("systemd")
        let process = PodProcess(pod: pod, configuration: configuration, journal: journal, apps: apps)
        replaceFile(in: pod.directory, Text("pid"), (Text("") + process.pid + "\n").utf8, mode: 0o640)
        // An app may end at once: its start must be known by then, or it would be started once more.
        guard start.waitUntilRequested() else { fail(pod) }
        process.openGate()
        clock.mark("init")
        if configuration.isIsolated { start.register(leader: process.pid) }
        guard start.waitUntilDone() else { fail(pod) }
        clock.mark("apps")

        Notify.send(Text("MAINPID=") + process.pid + "\nREADY=1")
        process.handedOver()
        clock.mark("hand-over")
        // Called off while nobody listened: the init has not got the signal.
        if isReadable(termination) {
            PodState.markStopping(pod.directory)
            giveUp(pod)
        }
        finish(pod, apps: apps)
    }

    /// Ends with the status of the app that is to blame, if one is.
    private static func fail(_ pod: PodRecords) -> Never {
        let status = pod.processStatus
        giveUp(pod)
        _exit(status == 0 ? ExitStatus.setup : status)
    }

    private static func isUUID(_ text: UnsafePointer<CChar>) -> Bool {
        for index in 0..<36 {
            let byte = UInt8(bitPattern: text[index])
            let isHex = (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 102)
            let isDash = index == 8 || index == 13 || index == 18 || index == 23
            guard isDash ? byte == 45 : isHex else { return false }
        }
        return text[36] == 0
    }

    /// Blocks the signal by which systemd calls a start off.
    ///
    /// - Returns: A descriptor that becomes readable when it has come.
    private static func blockTermination() -> Int32 {
        var signals = signal_set()
        _ = sigemptyset(&signals)
        _ = sigaddset(&signals, SIGTERM)
        check(sigprocmask(SIG_SETMASK, &signals, nil), Text("blocking signals"))
        return check(signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK), Text("opening the signals"))
    }

    static func isReadable(_ fd: Int32) -> Bool {
        var polled = [pollfd(fd: fd, events: Int16(POLLIN), revents: 0)]
        return poll(&polled, 1, 0) == 1
    }

    /// Lets the launchers that wait for an init go, and stops the apps.
    static func giveUp(_ pod: PodRecords) {
        Role.beforeFailure = nil
        pod.startIsOver()
        if fork() == 0 { PodState.stopApps(pod.uuid) }
        while waitpid(-1, nil, 0) < 0, __errno_location().pointee == EINTR {}
    }

    /// An app may have failed before systemd knew the pod as started; then nobody has stopped the others yet.
    private static func finish(_ pod: PodRecords, apps: [Text]) -> Never {
        pod.startIsOver()
        if pod.exitStatus != 0, apps.contains(where: { !pod.hasEnded($0) }) {
            PodState.systemctl([Text("stop"), Text("--no-block"), Text("pod@") + pod.uuid + ".service"])
        }
        _exit(0)
    }
}

/// Tells how long the stages of a start took, where RKT_DEBUG asks for it.
struct StageClock {
    private var last = monotonic_time()
    private let wanted = getenv("RKT_DEBUG") != nil

    mutating func mark(_ stage: StaticString) {
        guard wanted else { return }
        let now = monotonic_time()
        let tenths = Int32(truncatingIfNeeded: (now - last) / 100)
        report(Text(stage) + ": " + tenths / 10 + "." + tenths % 10 + " ms")
        last = now
    }
}
