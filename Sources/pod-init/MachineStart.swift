import CMusl

/// Starting a pod that is a machine: systemd-nspawn boots a systemd in a root of our own making, and that systemd
/// starts the apps. systemd-nspawn becomes the main process of `pod@UUID.service`; nothing of ours stays beside it.
struct MachineStart {
    private let pod: PodRecords
    private let apps: [Text]
    /// Becomes readable when systemd calls the start off.
    private let termination: Int32
    /// systemd-nspawn, a child of systemd's.
    private let pid: Int32
    private let process: Int32
    /// Where systemd-nspawn tells which process the machine's systemd is, and when that has started all.
    private let messages: Int32
    private let isForeground: Bool
    /// Whether there is the machine's systemd.
    private var hasLeader = false
    private var clock: StageClock

    static func run(
        _ pod: PodRecords,
        configuration: PodConfiguration,
        apps: [Text],
        foreground: Foreground?,
        termination: Int32,
        clock: StageClock
    ) -> Never {
        var start = MachineStart(pod, configuration, apps, foreground, termination, clock)
        start.waitUntilReady()
        start.clock.mark("apps")
        // Kept by systemd as long as the unit is up: systemd-nspawn keeps nothing open that it does not know.
        let handOver = Text("MAINPID=") + start.pid + "\nREADY=1"
        if pod.isLockKept {
            Notify.send(handOver)
        } else {
            Notify.send(handOver + "\nFDSTORE=1\nFDPOLL=0\nFDNAME=lock", with: pod.lock)
        }
        start.clock.mark("hand-over")
        start.passOnMessages()
        // Called off while nobody listened: systemd-nspawn has not got the signal. A command sees to that itself.
        if !start.isForeground, PodStart.isReadable(start.termination) {
            PodState.markStopping(pod.directory)
            _ = signal_process(start.process, SIGTERM)
        }
        pod.startIsOver()
        _exit(0)
    }

    /// From now on systemd gets what systemd-nspawn tells: that it stops, above all, which makes ExecStop= needless.
    private func passOnMessages() {
        guard let systemd = getenv("NOTIFY_SOCKET"), systemd[0] == 47 else { return }
        let name = Text(".notify")
        remove(in: pod.directory, name)
        let made = name.withCString { symlinkat(systemd, pod.directory, $0) }
        check(made, Text("linking ") + name)
        let moved = name.withCString { renameat(pod.directory, $0, pod.directory, "notify") }
        check(moved, Text("passing systemd-nspawn's messages on"))
    }

    private init(
        _ pod: PodRecords,
        _ configuration: PodConfiguration,
        _ apps: [Text],
        _ foreground: Foreground?,
        _ termination: Int32,
        _ clock: StageClock
    ) {
        self.clock = clock
        self.pod = pod
        self.apps = apps
        self.termination = termination
        isForeground = foreground != nil
        let address = Text("/run/rkt/pods/") + pod.uuid + "/notify"
        messages = Self.listen(at: address)
        var held: Int32 = -1
        pid = check(fork_sibling_held(&held), Text("starting the machine"))
        if pid == 0 {
            Role.beforeFailure = nil
            var none = signal_set()
            _ = sigemptyset(&none)
            _ = sigprocmask(SIG_SETMASK, &none, nil)
            let root = MachineRoot(pod, configuration, apps: apps)
            var nspawn = Nspawn(pod, configuration, isForeground: foreground != nil)
            if let foreground {
                nspawn.registers = foreground.enter(pod.uuid, whilePreparing: root.build)
            } else {
                root.build()
            }
            self.clock.mark("root")
            nspawn.become(notifying: address)
        }
        process = held
        let machine = process
        Role.beforeFailure = { _ in _ = signal_process(machine, SIGKILL) }
        if foreground == nil {
            // systemd-nspawn makes two cgroups below the unit's, which takes no processes where resources are
            // controlled.
            _ = Cgroup.enterChild(Text("start"))
        } else {
            Notify.send(Text("X_RKT_MACHINE_PID=") + pid)
        }
    }

    private static func listen(at address: Text) -> Int32 {
        let fd = check(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), Text("opening a socket"))
        remove(address)
        var place = unix_address()
        let length = address.withCString { fill(&place, $0) }
        check(bind(fd, &place, length), Text("listening at ") + address)
        return fd
    }

    // MARK: Waiting

    /// Waits until the machine's systemd has started all apps; ends the program when that comes to nothing, and when
    /// all has ended already.
    private mutating func waitUntilReady() {
        while true {
            var polled = [
                pollfd(fd: messages, events: Int16(POLLIN), revents: 0),
                pollfd(fd: process, events: Int16(POLLIN), revents: 0),
                pollfd(fd: termination, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&polled, 3, -1) < 0 { continue }
            if polled[2].revents != 0 { callOff() }
            if polled[0].revents != 0, takeMessage() { return }
            if polled[1].revents != 0 { finish() }
        }
    }

    /// Takes a message of systemd-nspawn's; whether it says that the machine is ready.
    private mutating func takeMessage() -> Bool {
        var count = 0
        let message = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, initialized in
            count = read(messages, buffer.baseAddress, 4096)
            initialized = max(count, 0)
        }
        var isReady = false
        for line in message.split(separator: 10) {
            guard let middle = line.firstIndex(of: 61) else { continue }
            let value = line[(middle + 1)...]
            if equal(line[..<middle], "X_NSPAWN_LEADER_PID"), let leader = parseNumber(Array(value)) {
                hasLeader = true
                replaceFile(in: pod.directory, Text("pid"), (Text("") + leader + "\n").utf8, mode: 0o640)
                if isForeground { Notify.send(Text("X_RKT_LEADER_PID=") + leader) }
                clock.mark("machine")
            }
            if equal(line[..<middle], "READY"), equal(value, "1") { isReady = true }
        }
        return isReady
    }

    /// The machine is down. Where all apps had started and have ended that was all; else it has said why, or its app
    /// has.
    private func finish() -> Never {
        let status = pod.processStatus
        let hasStarted = apps.allSatisfy { exists(in: pod.directory, Text("status/") + PodState.started + $0) }
        if hasStarted, apps.allSatisfy({ pod.hasEnded($0) }) {
            Notify.send(Text("READY=1"))
            pod.startIsOver()
            _exit(status)
        }
        pod.startIsOver()
        if status == 0 { report(Text("the pod's machine did not come up")) }
        _exit(status == 0 ? ExitStatus.setup : status)
    }

    /// Whoever asked for the start has called it off: what the apps end with is no failure.
    private mutating func callOff() -> Never {
        PodState.markStopping(pod.directory)
        // The kernel lets no signal through to a PID 1 that does not wait for it: a machine can be asked once it is
        // ready.
        if !hasLeader { _ = signal_process(process, SIGKILL) }
        let deadline = monotonic_time() + Self.patience
        while true {
            var polled = [
                pollfd(fd: process, events: Int16(POLLIN), revents: 0),
                pollfd(fd: messages, events: Int16(POLLIN), revents: 0),
            ]
            let now = monotonic_time()
            // In milliseconds, rounded up.
            let left = now < deadline ? Int32(truncatingIfNeeded: (deadline - now) / 1000 + 1) : -1
            if left < 0 { _ = signal_process(process, SIGKILL) }
            if poll(&polled, 2, left) <= 0 { continue }
            if polled[0].revents != 0 { break }
            if polled[1].revents != 0, takeMessage() { _ = signal_process(process, SIGTERM) }
        }
        pod.startIsOver()
        _exit(0)
    }

    /// How long a start that was called off may take to end, in microseconds: that of the apps' stop is in it.
    private static let patience: UInt = 60_000_000
}
