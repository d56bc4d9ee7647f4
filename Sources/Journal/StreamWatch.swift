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

    /// Waits until journald has read the streams of services that have ended to their ends, told of changes by inotify.
    ///
    /// A connection is in the kernel's list from its first moment, with what has not been read; from when its header was
    /// read it has a stream file, until its last line was stored. In between is the step that journald is at: it is over
    /// when journald answers whatever question.
    ///
    /// - Parameters:
    ///   - directory: Where journald keeps its sockets and streams.
    ///   - units: The services.
    ///   - deadline: When to give up.
    ///   - interruption: Ends the wait early.
    /// - Returns: False when the deadline has passed, or the kernel does not tell.
    /// - Throws: ``RktError`` for the errno; `CancellationError`.
    static func waitUntilRead(
        _ directory: String,
        units: [String],
        until deadline: ContinuousClock.Instant,
        _ interruption: Interruption
    ) throws -> Bool {
        let path = "\(directory)/streams"
        do {
            let journald = try VarlinkConnection(to: "\(directory)/io.systemd.journal", until: deadline, interruption)
            // Most often all has been read by now, and a host has few inotify instances.
            if try haveEnded(directory, units: units, journald) { return true }
            let inotify = OwnedFD(
                taking: try system("watching \(path)") { inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)) }
            )
            let raw = inotify.rawValue
            let events = UInt32(IN_DELETE) | UInt32(IN_MOVED_TO) | UInt32(IN_CREATE) | UInt32(IN_DELETE_SELF)
            try system("watching \(path)") { inotify_add_watch(raw, path, events | UInt32(IN_ONLYDIR)) }
            while try !haveEnded(directory, units: units, journald) {
                guard try interruption.wait(for: raw, until: deadline) else { return false }
                try discardEvents(of: raw, path)
            }
            return true
        } catch let error where error is RktError || error is VarlinkConnection.NobodyListens {
            return false
        }
    }

    /// Whether the services' streams have been read.
    private static func haveEnded(
        _ directory: String,
        units: [String],
        _ journald: borrowing VarlinkConnection
    ) throws -> Bool {
        let streams = try UnixStreams(path: "\(directory)/stdout")
        guard streams.isListening else { throw VarlinkConnection.NobodyListens() }
        if streams.waiting > 0 || streams.unread > 0 { return false }
        do {
            try journald.call("org.varlink.service.GetInfo", parameters: "{}")
        } catch is VarlinkFailure {
            // An answer, too.
        }
        let files = try Directory(path: "\(directory)/streams")
        return try !files.names().contains { name in
            guard let content = try? files.readText(name, limit: 65_536) else { return false }
            return units.contains { content.contains("\nUNIT=\($0)\n") }
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
