internal import Diagnostics
internal import Glibc
internal import Journal
internal import LinuxOS
internal import Synchronization

/// A pod's machine below this process, which is to it what systemd is to one of `pod@`: it starts pod-start, takes what
/// that hands over, and waits for the machine's end.
final class ForegroundMachine: Sendable {
    /// What happens on the way.
    enum Event: Sendable {
        /// There is the process that will be the machine's systemd-nspawn; it waits at the gate.
        case forked(pid: Int32, gate: Gate)
        /// There is the machine's systemd.
        case booting(leader: Int32)
        /// The apps have started.
        case ready
    }

    /// Lets whoever waits at the other end of a pipe go on: the machine's process, which is held back until it is where
    /// it belongs, or who wants to know that the apps have started.
    final class Gate: Sendable {
        private let writer: OwnedFD

        init(_ writer: consuming OwnedFD) { self.writer = writer }

        /// Lets the process go on. It ends where the gate goes without this.
        ///
        /// - Parameter registers: Whether the process is to tell machined of the machine.
        /// - Throws: ``RktError`` when the process is gone.
        func open(registers: Bool = false) throws {
            try writer.writeAll(registers ? "y" : "n", name: "the machine's gate")
        }
    }

    /// How a run ended.
    struct Ending: Sendable {
        /// Whether the apps had started.
        var isReady = false
        /// Whether somebody had asked for the end.
        var isStopped = false
        /// How systemd-nspawn ended; nil also where pod-start has ended before it could tell of it.
        var machine: ChildProcess.Ending?

        /// Whether the machine is to be started again, by systemd-nspawn's convention.
        var isReboot: Bool { isReady && !isStopped && machine == .exited(133) }
    }

    private let pod: PodDirectory
    private let place: ForegroundPlace
    private let program: String
    private let socket: NotifySocket
    /// The pod's lock, which pod-start hands over and gets again when the machine reboots.
    private let lock = Mutex<SharedFD?>(nil)

    /// Listens to what others have to say of the pod.
    ///
    /// - Parameters:
    ///   - pod: The pod, in the phase `run`.
    ///   - place: Where its cgroups will be.
    /// - Throws: ``RktError`` when that cannot be done.
    init(_ pod: PodDirectory, in place: ForegroundPlace) throws {
        self.pod = pod
        self.place = place
        program = try Installation().podInit
        try place.note(in: pod)
        socket = try NotifySocket(at: ForegroundRequest.socket(of: pod.uuid))
    }

    /// Lets go of the pod, which has ended.
    func release() {
        try? pod.directory.remove(ForegroundRequest.socketName)
        lock.withLock { $0 = nil }
        ForegroundPlace.clear(pod)
    }

    /// Runs the machine, on a thread that its processes do not outlive.
    ///
    /// - Parameter tell: Called, on that thread, with what happens.
    /// - Returns: How it ended.
    /// - Throws: ``RktError`` when it cannot be started.
    func run(telling tell: @escaping @Sendable (Event) -> Void) async throws -> Ending {
        try await OwnThread.run { [self] _ in
            var watch = try Watch(self, tell)
            return try watch.untilEnded()
        }
    }

    /// Starts pod-start.
    ///
    /// - Parameter gate: The gate's other end.
    /// - Returns: Its process.
    /// - Throws: ``RktError`` when it cannot be started.
    private func start(gate: CInt) throws -> ChildProcess {
        var start = ChildProcess.Start(program, ["start", "\(pod.uuid)", place.word, "\(getpid())"])
        var environment = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
            "NOTIFY_SOCKET=\(ForegroundRequest.socket(of: pod.uuid))",
        ]
        if getenv("RKT_DEBUG") != nil { environment.append("RKT_DEBUG=1") }
        start.leadsSession = true
        start.descriptors[4] = gate
        // Where what the machine's console says is under `pod@`, too.
        let console = JournalStream.open(identifier: PodNames.machine(pod.uuid))
        if let console { start.descriptors[1] = console.descriptor.rawValue }
        let kept = lock.withLock { $0 }
        if let kept {
            start.descriptors[3] = kept.descriptor.rawValue
            environment += ["LISTEN_FDS=1", "LISTEN_FDNAMES=lock"]
        }
        start.environment = environment
        defer { withExtendedLifetime((kept, console)) {} }
        return try ChildProcess(start)
    }

    /// What is watched while a machine runs.
    private struct Watch: ~Copyable {
        private let machine: ForegroundMachine
        private let tell: @Sendable (Event) -> Void
        private var starter: ChildProcess?
        /// The process that is or will be systemd-nspawn.
        private var process: ChildProcess?
        private var ending = Ending()
        /// The machine's systemd.
        private var leader: Leader?
        /// When the machine is killed that was asked to end.
        private var deadline: ContinuousClock.Instant?
        private var gate: Gate?
        /// Pipes of those who wait for the apps' start.
        private var waiting: [Gate] = []

        init(_ machine: ForegroundMachine, _ tell: @escaping @Sendable (Event) -> Void) throws {
            self.machine = machine
            self.tell = tell
            let pipe = try Pipe()
            gate = Gate(pipe.takeWriter())
            defer { withExtendedLifetime(pipe) {} }
            starter = try machine.start(gate: pipe.reader.rawValue)
        }

        mutating func untilEnded() throws -> Ending {
            while starter != nil || process != nil {
                var polled = [machine.socket.descriptor.rawValue, Self.descriptor(starter), Self.descriptor(process)]
                    .map { pollfd(fd: $0, events: CShort(POLLIN), revents: 0) }
                let timeout = timeLeft()
                try system("waiting for the machine") { poll(&polled, nfds_t(polled.count), timeout) }
                // What they had to say before they ended comes first.
                while let message = try machine.socket.receive() { try take(message) }
                if polled[1].revents != 0, let ended = starter {
                    _ = try ended.reap()
                    starter = nil
                    // Killed, or failed without having seen to it.
                    if !ending.isReady { try? process?.process.send(SIGKILL) }
                }
                if polled[2].revents != 0, let ended = process {
                    ending.machine = try ended.reap()
                    process = nil
                    if case .killed = ending.machine { waitForMachine() }
                }
            }
            return ending
        }

        /// Until the machine is to be killed, in milliseconds; -1 for ever. Kills it when that is now.
        private mutating func timeLeft() -> CInt {
            guard let deadline else { return -1 }
            let left = deadline - .now
            if left > .zero { return CInt(left / .milliseconds(1)) + 1 }
            self.deadline = nil
            endByForce()
            return -1
        }

        /// The kernel kills the machine with its systemd-nspawn, and takes a moment for it.
        private func waitForMachine() {
            guard let leader else { return }
            var ended = pollfd(fd: leader.process.descriptor.rawValue, events: CShort(POLLIN), revents: 0)
            _ = poll(&ended, 1, Self.patience)
        }

        /// How long that may take, in milliseconds.
        private static let patience: CInt = 10_000
        /// How long a machine may take to end that was asked to, as TimeoutStopSec= of `pod@.service` has it.
        private static let stopTime: Duration = .seconds(120)

        /// A process that is a grandchild.
        private final class Leader: Sendable {
            let process: PidFD

            init(pid: Int32) throws { process = try PidFD(pid: pid) }
        }

        private static func descriptor(_ child: ChildProcess?) -> CInt { child?.process.descriptor.rawValue ?? -1 }

        private mutating func take(_ message: consuming NotifySocket.Message) throws {
            let fields = message.fields
            if let pid = fields["X_RKT_MACHINE_PID"].flatMap({ Int32($0) }), process == nil, let gate = gate.take() {
                process = try ChildProcess(pid: pid)
                tell(.forked(pid: pid, gate: gate))
            }
            if let pid = fields["X_RKT_LEADER_PID"].flatMap({ Int32($0) }) {
                leader = try? Leader(pid: pid)
                tell(.booting(leader: pid))
            }
            if fields["READY"] == "1", !ending.isReady {
                ending.isReady = true
                // pod-start had no time any more to pass it on.
                if ending.isStopped { try? process?.process.send(SIGTERM) }
                for gate in waiting { try? gate.open() }
                waiting = []
                tell(.ready)
            }
            if fields[ForegroundRequest.stop.rawValue] != nil { stop() }
            if fields[ForegroundRequest.kill.rawValue] != nil { endByForce() }
            let isLock = fields["FDSTORE"] == "1" && fields["FDNAME"] == "lock"
            let isQuestion = fields[ForegroundRequest.tellWhenReady.rawValue] != nil
            // Any other is closed now, a barrier's too.
            guard isLock || isQuestion, let descriptor = message.takeDescriptor() else { return }
            if isLock {
                let lock = SharedFD(descriptor)
                machine.lock.withLock { $0 = lock }
            } else {
                let gate = Gate(descriptor)
                if ending.isReady { try? gate.open() } else { waiting.append(gate) }
            }
        }

        /// Asks for the end once: systemd-nspawn takes a second signal for impatience.
        private mutating func stop() {
            guard !ending.isStopped else { return }
            ending.isStopped = true
            deadline = .now + Self.stopTime
            // What the apps end with is no failure of the pod.
            try? machine.pod.directory.writeInPlace("status/STOPPING", "", mode: 0o640)
            let addressee = ending.isReady ? process : starter
            try? addressee?.process.send(SIGTERM)
        }

        private mutating func endByForce() {
            ending.isStopped = true
            deadline = nil
            try? starter?.process.send(SIGKILL)
            try? process?.process.send(SIGKILL)
        }
    }
}
