internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Waits for a directory of journald's to be empty.
enum StreamWatch {
    /// Waits until a directory holds no stream file any more, told of changes by inotify.
    ///
    /// - Parameters:
    ///   - path: The directory; one that does not exist is empty.
    ///   - deadline: When to give up.
    ///   - interruption: Ends the wait early.
    /// - Returns: False when the deadline has passed.
    /// - Throws: ``RktError`` for the errno; `CancellationError`.
    static func waitUntilEmpty(
        _ path: String,
        until deadline: ContinuousClock.Instant,
        _ interruption: Interruption
    ) throws -> Bool {
        let inotify = OwnedFD(
            taking: try system("watching \(path)") { inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)) }
        )
        let events = UInt32(IN_DELETE) | UInt32(IN_MOVED_FROM) | UInt32(IN_DELETE_SELF) | UInt32(IN_MOVE_SELF)
        let raw = inotify.rawValue
        do {
            // Watched before it is looked at, so that no change falls in between.
            try system("watching \(path)") { inotify_add_watch(raw, path, events | UInt32(IN_ONLYDIR)) }
            while try !isEmpty(path) {
                guard try interruption.wait(for: raw, until: deadline) else { return false }
                try discardEvents(of: raw, path)
            }
            return true
        } catch let error as RktError where error.code == .notFound {
            return true
        }
    }

    /// Whether there is no stream file; files being written have a dot in front and will be renamed.
    private static func isEmpty(_ path: String) throws -> Bool {
        try Directory(path: path).names().allSatisfy { $0.hasPrefix(".") }
    }

    private static func discardEvents(of inotify: CInt, _ path: String) throws {
        var buffer = [UInt8](repeating: 0, count: 16_384)
        do {
            while try system("watching \(path)", { read(inotify, &buffer, buffer.count) }) > 0 {}
        } catch let error as RktError where error.errno == EAGAIN {
            return
        }
    }
}
