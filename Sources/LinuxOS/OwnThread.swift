internal import CLinux
internal import Diagnostics
public import Glibc

/// Work that blocks, on a thread of its own: the threads of Swift's concurrency are few and must not wait in the
/// kernel.
public enum OwnThread {
    /// Runs work on a new thread and waits for it without blocking the caller's.
    ///
    /// - Parameter body: The work. It gets what tells it of the calling task's cancellation: whoever waits there
    ///   ends with `CancellationError` then.
    /// - Returns: What the work returns.
    /// - Throws: What the work throws; ``RktError`` when no thread can be made.
    public static func run<R: Sendable>(
        _ body: @escaping @Sendable (_ interruption: Interruption) throws -> R
    ) async throws -> R {
        let interruption = try Interruption()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let job = Job { continuation.resume(with: Result { try body(interruption) }) }
                let problem = job.start().problem
                guard problem != 0 else { return }
                continuation.resume(throwing: RktError(errno: problem, "starting a thread"))
            }
        } onCancel: {
            interruption.raise()
        }
    }

    /// Runs work on a new thread that nobody waits for.
    ///
    /// - Parameter body: The work.
    /// - Throws: ``RktError`` when no thread can be made.
    public static func start(_ body: @escaping @Sendable () -> Void) throws {
        let problem = Job(body).start().problem
        guard problem == 0 else { throw RktError(errno: problem, "starting a thread") }
    }

    /// Runs work on a new thread that somebody waits for.
    ///
    /// - Parameter body: The work.
    /// - Returns: What waits for the end of the thread; to be called once, from any thread.
    /// - Throws: ``RktError`` when no thread can be made.
    public static func startJoined(_ body: @escaping @Sendable () -> Void) throws -> @Sendable () -> Void {
        let (problem, thread) = Job(body).start(isJoined: true)
        guard problem == 0 else { throw RktError(errno: problem, "starting a thread") }
        return { pthread_join(thread, nil) }
    }

    /// Waits for a point in time, where it is time itself that matters and no event.
    ///
    /// - Parameter deadline: When to return.
    /// - Throws: `CancellationError` when the task was cancelled; ``RktError`` when no thread can be made.
    public static func wait(until deadline: ContinuousClock.Instant) async throws {
        let nothing: CInt = -1
        _ = try await run { try $0.wait(for: nothing, until: deadline) }
    }

    /// The work on its way through the C library.
    private final class Job: Sendable {
        private let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }

        /// Starts the thread; the job is freed by the thread, or here when there is none.
        ///
        /// - Parameter isJoined: Whether somebody waits for it.
        /// - Returns: 0 or an errno, and the thread.
        func start(isJoined: Bool = false) -> (problem: CInt, thread: pthread_t) {
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            defer { pthread_attr_destroy(&attributes) }
            if !isJoined { pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED)) }
            let retained = Unmanaged.passRetained(self)
            var thread = pthread_t()
            let problem = pthread_create(
                &thread,
                &attributes,
                { raw in
                    guard let raw else { return nil }
                    Unmanaged<Job>.fromOpaque(raw).takeRetainedValue().body()
                    return nil
                },
                retained.toOpaque()
            )
            if problem != 0 { retained.release() }
            return (problem, thread)
        }
    }
}

/// Wakes a thread that waits for a descriptor when its work is no longer wanted.
public final class Interruption: Sendable {
    private let event: OwnedFD

    /// Makes one that nobody has raised yet.
    ///
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public init() throws {
        event = OwnedFD(taking: try system("making an event descriptor") { rkt_eventfd(0) })
    }

    /// Ends all waits, those that begin later too.
    public func raise() {
        var one: UInt64 = 1
        // It can only fail when it was raised 2^64 times.
        _ = write(event.rawValue, &one, 8)
    }

    /// Waits until a descriptor is ready.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor.
    ///   - events: What to wait for, in `poll(2)`'s terms.
    ///   - deadline: When to give up; nil to wait as long as it takes.
    /// - Returns: Whether it is ready (or broken: the next call on it will say); false when the deadline has passed.
    /// - Throws: `CancellationError` when this interruption was raised; ``RktError`` for the errno.
    public func wait(
        for descriptor: CInt,
        _ events: CInt = POLLIN,
        until deadline: ContinuousClock.Instant? = nil
    ) throws -> Bool {
        var set = [
            pollfd(fd: descriptor, events: CShort(events), revents: 0),
            pollfd(fd: event.rawValue, events: CShort(POLLIN), revents: 0),
        ]
        while true {
            var timeout: CInt = -1
            if let deadline {
                let left = deadline - .now
                guard left > .zero else { return false }
                // Rounded up, and in steps of an hour at most: longer ones do not fit.
                timeout = CInt(min(left, .seconds(3600)) / .milliseconds(1)) + 1
            }
            let ready = try system("waiting for a descriptor") { poll(&set, nfds_t(set.count), timeout) }
            if set[1].revents != 0 { throw CancellationError() }
            if ready > 0 { return true }
        }
    }
}
