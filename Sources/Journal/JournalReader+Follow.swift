internal import Diagnostics
internal import Glibc
internal import LinuxOS

extension JournalReader {
    /// Waits until something may have been added to the journal since it was last read to its end.
    ///
    /// The first call finds what was added since the reader was opened only by reading again, so ask ``next()`` after
    /// it in any case.
    ///
    /// - Parameter timeout: How long to wait at most; nil for as long as it takes.
    /// - Returns: Whether there may be new entries; false when the time is over.
    /// - Throws: `CancellationError` when the task is cancelled; ``RktError`` when the journal cannot be watched.
    @discardableResult
    public func wait(timeout: Duration? = nil) async throws -> Bool {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        try watch()
        return try await OwnThread.run { [self] interruption in
            while true {
                let descriptor = try call("watching") { library.descriptor($0) }
                let events = try call("watching") { library.events($0) }
                let recheck = try recheckTime()
                let limit = [deadline, recheck].compactMap { $0 }.min()
                let ready = try interruption.wait(for: descriptor, events, until: limit)
                let changed = try call("watching") { library.process($0) } != 0
                if changed { return true }
                if !ready, let deadline, deadline <= .now { return false }
            }
        }
    }

    /// Makes the library watch the files and directories; it does so only when it is asked for the descriptor.
    func watch() throws {
        try call("watching") { library.descriptor($0) }
    }

    /// When the library wants to look again by itself: only on file systems that tell nobody of changes (NFS).
    private func recheckTime() throws -> ContinuousClock.Instant? {
        var microseconds = UInt64.max
        try call("watching") { library.timeout($0, &microseconds) }
        guard microseconds != .max else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let passed = Duration.seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
        return .now + (.microseconds(Int64(clamping: microseconds)) - passed)
    }
}
