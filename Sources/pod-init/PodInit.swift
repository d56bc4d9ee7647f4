import CMusl

/// PID 1 of a pod: holds its namespaces and its lock, reaps, waits for the apps' ends, and ends with the pod's status.
///
/// Arguments: UUID HOSTNAME MOUNTPOINT JOURNAL|- MACHINE-ID FLAGS APP…; FLAGS: `p` this is a PID namespace of the
/// pod's own, `n` so is the network, `-` none. Descriptors, given by `PodStart`:
enum PodInit {
    /// The directory with one file per app that has ended.
    static let statusDirectory: Int32 = 3
    /// The pod's directory.
    static let podDirectory: Int32 = 4
    /// Gets one byte once this process is set up.
    static let readyPipe: Int32 = 5
    /// Gets a byte when this process's number is written down, and hangs up when systemd knows it as the pod's main
    /// one: no exit before that.
    static let handedOverPipe: Int32 = 6
    /// A named pipe in the pod's directory: gets a byte whenever an app has ended.
    static let endsPipe: Int32 = 7
    /// systemd's notification socket, connected.
    static let notifySocket: Int32 = 8
    /// The open file with the pod's lock.
    static let lock: Int32 = 9

    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        guard arguments.count >= 7 else { refuse(Text("pod: too few arguments")) }
        let uuid = arguments[0]
        let hostname = arguments[1]
        let ownProcesses = contains(arguments[5], "p")
        let apps = arguments[6...].map { Text($0) }
        _ = close_range(10, .max, 0)
        // Apps of the pod run beside this process, some as root: they must not be able to trace it or to reach what
        // it has open.
        _ = set_process_option(PR_SET_DUMPABLE, 0)
        _ = umask(0o022)

        let signals = blockSignals()
        if ownProcesses {
            confineDirectories(mountPoint: arguments[2])
            var length = 0
            while hostname[length] != 0 { length += 1 }
            check(sethostname(hostname, length), Text("setting the pod's host name"))
            if contains(arguments[5], "n") { raiseLoopback() }
            PodRoot.enter(
                mountPoint: arguments[2],
                uuid: uuid,
                hostname: hostname,
                machineID: arguments[4],
                journal: equal(arguments[3], "-") ? nil : arguments[3]
            )
        }
        if ownProcesses {
            // An app that may trace processes gets no further in here than it is: the apps are all there is to kill.
            check(keep_only_kill(), Text("giving up capabilities"))
            check(set_process_option(PR_SET_NO_NEW_PRIVS, 1), Text("giving up privileges"))
        }
        _ = set_process_option(PR_SET_DUMPABLE, 0)
        hide(arguments[1...])
        guard write(readyPipe, "r", 1) == 1 else { fail(Text("reporting to pod-start")) }
        _ = close(readyPipe)
        wait(for: apps, uuid: uuid, signals: signals, ownProcesses: ownProcesses)
    }

    /// Puts detached trees in the place of the host's directories: whoever reaches a descriptor of this process finds
    /// nothing above the pod's own directory.
    private static func confineDirectories(mountPoint: UnsafePointer<CChar>) {
        let path = Text(mountPoint) + "/.."
        let tree = check(path.withCString { detached_tree(AT_FDCWD, $0) }, Text("detaching the pod's directory"))
        let status = openFile(in: tree, Text("status"), O_RDONLY | O_DIRECTORY)
        check(dup2(tree, podDirectory), Text("keeping the pod's directory"))
        check(dup2(status, statusDirectory), Text("keeping the pod's directory"))
        _ = close(tree)
        _ = close(status)
    }

    /// Blanks out arguments: apps see this process, and the host's paths are none of their business.
    private static func hide(_ arguments: ArraySlice<UnsafePointer<CChar>>) {
        for argument in arguments {
            let text = UnsafeMutablePointer(mutating: argument)
            var index = 0
            while text[index] != 0 {
                text[index] = 0
                index += 1
            }
        }
    }

    private static func contains(_ flags: UnsafePointer<CChar>, _ flag: Unicode.Scalar) -> Bool {
        var next = flags
        while next.pointee != 0 {
            if UInt32(UInt8(bitPattern: next.pointee)) == flag.value { return true }
            next += 1
        }
        return false
    }

    private static func blockSignals() -> Int32 {
        var all = signal_set()
        _ = sigfillset(&all)
        check(sigprocmask(SIG_SETMASK, &all, nil), Text("blocking signals"))
        return check(signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK), Text("opening the signals"))
    }

    private static func raiseLoopback() {
        let fd = check(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), Text("opening the pod's network"))
        check(set_interface_up(fd, "lo"), Text("bringing the pod's loopback up"))
        _ = close(fd)
    }

    // MARK: Waiting

    private static func wait(
        for apps: [Text],
        uuid: UnsafePointer<CChar>,
        signals: Int32,
        ownProcesses: Bool
    ) -> Never {
        var stopping = false
        var gateIsOpen = false
        while true {
            if apps.allSatisfy({ exists(in: statusDirectory, $0) }) { end() }
            var polled = [
                pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
                pollfd(fd: endsPipe, events: Int16(POLLIN), revents: 0),
                pollfd(fd: gateIsOpen ? -1 : handedOverPipe, events: Int16(POLLIN), revents: 0),
            ]
            if stopping { _ = poll(&polled, 3, 10_000) } else { _ = poll_released(&polled, 3) }
            if polled[2].revents != 0 {
                openGate()
                gateIsOpen = true
            }
            drain()
            let asked = readSignals(signals)
            if asked, !stopping {
                stopping = true
                askAppsToEnd(uuid: uuid, ownProcesses: ownProcesses)
            } else if stopping, ownProcesses, polled[0].revents == 0, polled[1].revents == 0, kill(-1, SIGKILL) < 0 {
                // Nothing lives here any more, so nothing will report: the pod ends with what is known.
                end()
            }
        }
    }

    /// Opens the pipe at which the apps' launchers wait, and keeps it open.
    private static func openGate() {
        var byte: UInt8 = 0
        _ = read(handedOverPipe, &byte, 1)
        let gate = check(open_at(podDirectory, "gate", O_RDWR | O_NONBLOCK | O_CLOEXEC, 0), Text("opening the gate"))
        // The byte stays in the pipe: each launcher only looks whether there is one.
        _ = write(gate, "g", 1)
    }

    private static func drain() {
        var buffer = [UInt8](repeating: 0, count: 64)
        while read(endsPipe, &buffer, 64) > 0 {}
    }

    /// Reads what signals came; whether one asks the pod to end.
    ///
    /// Only a signal from outside the pod counts: the kernel gives its sender as 0, as it has no number in here.
    private static func readSignals(_ signals: Int32) -> Bool {
        var asked = false
        var signal = signal_information()
        while read(signals, &signal, 128) == 128 {
            let number = Int32(signal.number)
            if number == SIGCHLD {
                while waitpid(-1, nil, WNOHANG) > 0 {}
                continue
            }
            let first = SIGRTMIN
            let asks =
                number == SIGTERM || number == SIGINT || number == first + 3
                || number == first + 4
            if asks, signal.code == 0, signal.sender == 0 || getpid() != 1 { asked = true }
        }
        return asked
    }

    /// Ends the apps from in here, when not systemd but someone with a signal asked: `machinectl poweroff`.
    private static func askAppsToEnd(uuid: UnsafePointer<CChar>, ownProcesses: Bool) {
        PodState.markStopping(podDirectory)
        if ownProcesses {
            _ = kill(-1, SIGTERM)
        } else if fork() == 0 {
            PodState.stopApps(uuid)
        }
    }

    private static func end() -> Never {
        var handedOver = [pollfd(fd: handedOverPipe, events: 0, revents: 0)]
        while poll(&handedOver, 1, -1) < 0 {}
        // systemd need not run ExecStop= any more: there is nothing left to stop.
        _ = write(notifySocket, "STOPPING=1", 10)
        _exit(PodState.processStatus(podDirectory))
    }
}
