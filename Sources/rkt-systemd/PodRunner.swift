internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Pods
internal import Synchronization

/// Runs a pod for a user: starts it, prints what its apps write, and stops it when the user interrupts.
struct PodRunner {
    private let control: PodControl
    private let data: DataDirectory
    private let stages: StageClock
    private let debug: Bool

    /// How long a pod lives before its log is watched.
    private static let shortLife: Duration = .milliseconds(300)

    /// How long after the pod's end its last lines are waited for.
    private static let drainTime: Duration = .seconds(10)

    init(_ data: DataDirectory, ahead: StartAhead, debug: Bool, stages: StageClock) {
        self.data = data
        self.debug = debug
        self.stages = stages
        control = PodControl(data: data, ahead: ahead)
    }

    /// Runs a pod.
    ///
    /// - Parameters:
    ///   - pod: The pod, prepared.
    ///   - detached: Whether to return when it has started; its UUID is printed then.
    ///   - removing: Whether to remove it when it has ended.
    /// - Returns: The exit status: the pod's.
    /// - Throws: ``RktError`` when the pod could not be started, or its log not be read.
    func run(_ pod: PodDirectory, detached: Bool, removing: Bool) async throws -> Int32 {
        if detached {
            try await control.start(pod)
            print(pod.uuid)
            return 0
        }
        let logs = try PodLogs(of: pod)
        let printer = LogPrinter()
        let control = control
        // A reader that has gone away is told by the failing write.
        signal(SIGPIPE, SIG_IGN)
        let follower = Task {
            do {
                PodLogs.prepare()
                // A pod that has ended by then is read once, at its end: to give up watching a journal takes the kernel
                // a grace period.
                try await OwnThread.wait(until: .now + Self.shortLife)
                try await Self.follow(logs, printer)
            } catch let error as RktError where error.code == .unavailable {
                // Nobody can read any more: the pod ends, as a program in its place would.
                try await control.cancel(pod, force: false)
                throw error
            }
        }
        let interruption = Interruption()
        let stopper = Task {
            for await number in SignalStream.catching([SIGINT, SIGTERM, SIGHUP]) {
                let isFirst = interruption.take(number)
                // The second does not wait for the first, which gives the apps their time.
                Task { try? await control.cancel(pod, force: !isFirst) }
            }
        }
        defer { stopper.cancel() }
        let stages = stages
        do {
            let unwritten = Mutex<RktError?>(nil)
            let status = try await control.run(
                pod,
                removing: removing,
                started: {
                    stages.mark("start")
                    NotifySocket.tellOwn("READY=1")
                    // One that came before systemd had anything to cancel.
                    if interruption.signal != nil { Task { try? await control.cancel(pod, force: false) } }
                },
                ended: {
                    stages.mark("pod")
                    let problem = await Self.finish(logs, printer, follower)
                    unwritten.withLock { $0 = problem }
                    stages.mark("log")
                },
                warn: { Self.warn("pod \"\(pod.uuid)\" \($0)") }
            )
            if removing { stages.mark("removed") }
            if status == 0, let error = unwritten.withLock({ $0 }) { throw error }
            return status
        } catch {
            // A start that the user has called off is no failure to be told.
            if let signal = interruption.signal { return 128 + signal }
            throw error
        }
    }

    private static func warn(_ text: String) { StandardError.print("run: warning: \(text)\n") }

    /// Prints what is left of the log of a pod that has ended. Its exit status counts, whatever becomes of the log.
    ///
    /// - Returns: Why lines could not be written, if so.
    private static func finish(
        _ logs: PodLogs,
        _ printer: LogPrinter,
        _ follower: Task<Void, any Error>
    ) async -> RktError? {
        var problem: (any Error)?
        var isComplete = false
        do {
            isComplete = try await logs.drain(deadline: .now + drainTime)
        } catch {
            problem = error
        }
        follower.cancel()
        _ = try? await follower.value
        do {
            logs.reopen()
            try printer.printAll(logs)
        } catch let error as RktError where error.code == .unavailable {
            return error
        } catch {
            problem = error
        }
        if let problem {
            warn("the last lines may be missing: \(problem)")
        } else if !isComplete {
            warn("the last lines may be missing: the journal is still busy")
        }
        return nil
    }

    /// Prints lines as they come, until the task is cancelled.
    static func follow(_ logs: PodLogs, _ printer: LogPrinter) async throws {
        while !Task.isCancelled {
            try printer.printAll(logs)
            do {
                _ = try await logs.wait()
            } catch let error as RktError where error.code == .limitExceeded {
                // The host has no inotify instance left: what the apps write is printed when the pod has ended.
                return
            }
        }
    }
}

/// Prints lines of apps to standard output, each with its app's name before it.
final class LogPrinter: Sendable {
    private let isTerminal = TerminalText.isTerminal(1)
    private let lock = Mutex(())

    /// Prints all lines that are there.
    ///
    /// - Parameter logs: The pod's log.
    /// - Throws: ``RktError`` when the log cannot be read.
    func printAll(_ logs: PodLogs) throws {
        try lock.withLock { _ in
            var output: [UInt8] = []
            while let line = try logs.next() {
                output += Array(line.app.utf8)
                if let pid = line.pid { output += Array("[\(pid)]".utf8) }
                output += Array(": ".utf8)
                output += TerminalText.output(line.message, isTerminal: isTerminal)
                output.append(10)
                if output.count > 65_536 { try flush(&output) }
            }
            try flush(&output)
        }
    }

    private func flush(_ output: inout [UInt8]) throws {
        var written = 0
        while written < output.count {
            let count = output.withUnsafeBytes { write(1, $0.baseAddress.map { $0 + written }, output.count - written) }
            if count < 0 {
                if errno == EINTR { continue }
                throw RktError(.unavailable, "cannot write to standard output: \(String(cString: strerror(errno)))")
            }
            written += count
        }
        output = []
    }
}

/// The signal by which the user called a run off.
private final class Interruption: Sendable {
    private let first = Mutex<Int32?>(nil)

    /// The first signal that came; nil when none did.
    var signal: Int32? { first.withLock { $0 } }

    /// Takes note of a signal.
    ///
    /// - Returns: Whether it is the first.
    func take(_ number: Int32) -> Bool {
        first.withLock { first in
            defer { first = first ?? number }
            return first == nil
        }
    }
}
