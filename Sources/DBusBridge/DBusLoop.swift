internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Synchronization

/// What a loop serves on its thread, besides the jobs of the actor.
protocol DBusLoopSource: AnyObject, Sendable {
    /// When ``passDeadlines(_:)`` is to be called next.
    var nextDeadline: ContinuousClock.Instant? { get }
    /// Adds what is to be polled now.
    func appendPolled(to polled: inout [pollfd])
    /// Reads, writes and dispatches.
    func service(_ polled: ArraySlice<pollfd>)
    /// Fails what is late.
    func passDeadlines(_ now: ContinuousClock.Instant)
    /// Forgets a stream nobody reads any more.
    func dropStream(_ identifier: Int)
    /// Ends everything; nothing is called afterwards.
    func shutDown()
}

/// The thread that owns a connection, as the executor of the connection's actor.
///
/// libdbus lets one thread block in a connection while another cannot send; so all that touches a connection happens
/// on one thread, which polls the connection and an eventfd.
final class DBusLoop: SerialExecutor {
    private struct Inbox {
        var jobs: [UnownedJob] = []
        var droppedStreams: [Int] = []
        var stops = false
        /// Whether the thread polls, or is about to, and must be woken to see what is new.
        var sleeps = false

        var isEmpty: Bool { jobs.isEmpty && droppedStreams.isEmpty && !stops }
    }

    private let inbox = Mutex(Inbox())
    private let wakeUp: EventFD

    /// Makes a loop without a thread.
    ///
    /// - Throws: `RktError` when the process has no descriptor left.
    init() throws {
        wakeUp = try EventFD()
    }

    /// Starts the thread; once, before anything is enqueued.
    ///
    /// - Parameter source: What to serve; from here on used on the thread only.
    /// - Throws: `RktError` when there can be no more threads.
    func start(serving source: any DBusLoopSource) throws {
        let context = Unmanaged.passRetained(ThreadContext(loop: self, source: source))
        // The process's signal handlers belong to its other threads.
        var all = sigset_t()
        var before = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let error = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                let context = Unmanaged<ThreadContext>.fromOpaque(argument).takeRetainedValue()
                context.loop.run(serving: context.source)
                return nil
            },
            context.toOpaque()
        )
        pthread_sigmask(SIG_SETMASK, &before, nil)
        guard error == 0 else {
            context.release()
            throw RktError(errno: error, "starting the thread of a D-Bus connection")
        }
        pthread_detach(thread)
    }

    private final class ThreadContext {
        let loop: DBusLoop
        let source: any DBusLoopSource

        init(loop: DBusLoop, source: any DBusLoopSource) {
            self.loop = loop
            self.source = source
        }
    }

    // MARK: From any thread

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        post { $0.jobs.append(job) }
    }

    /// Makes the thread forget a stream.
    func dropStream(_ identifier: Int) {
        post { $0.droppedStreams.append(identifier) }
    }

    /// Makes the thread end everything and go.
    func stop() {
        post { $0.stops = true }
    }

    private func post(_ change: (inout Inbox) -> Void) {
        let mustWake = inbox.withLock { inbox in
            change(&inbox)
            defer { inbox.sleeps = false }
            return inbox.sleeps
        }
        if mustWake { wakeUp.signal() }
    }

    // MARK: On the thread

    private func run(serving source: any DBusLoopSource) {
        let executor = asUnownedSerialExecutor()
        var polled: [pollfd] = []
        while true {
            let batch = inbox.withLock { inbox in
                defer { inbox = Inbox() }
                return inbox
            }
            for identifier in batch.droppedStreams { source.dropStream(identifier) }
            for job in batch.jobs { job.runSynchronously(on: executor) }
            if batch.stops { break }

            let isIdle = inbox.withLock { inbox in
                inbox.sleeps = inbox.isEmpty
                return inbox.sleeps
            }
            polled.removeAll(keepingCapacity: true)
            polled.append(pollfd(fd: wakeUp.descriptor.rawValue, events: Int16(POLLIN), revents: 0))
            source.appendPolled(to: &polled)
            poll(&polled, nfds_t(polled.count), isIdle ? timeout(until: source.nextDeadline) : 0)
            inbox.withLock { $0.sleeps = false }
            if polled[0].revents != 0 { wakeUp.clear() }
            source.service(polled[1...])
            if let deadline = source.nextDeadline {
                let now = ContinuousClock.now
                if deadline <= now { source.passDeadlines(now) }
            }
        }
        source.shutDown()
    }

    /// Milliseconds for `poll(2)`, rounded up so that the deadline has passed when it returns.
    private func timeout(until deadline: ContinuousClock.Instant?) -> Int32 {
        guard let deadline else { return -1 }
        let (seconds, attoseconds) = ContinuousClock.now.duration(to: deadline).components
        if seconds < 0 || attoseconds < 0 { return 0 }
        let whole = min(seconds, 86_400) * 1000
        return Int32(whole + attoseconds / 1_000_000_000_000_000 + 1)
    }
}
