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
        do {
            // Watched before it is looked at, so that no change falls in between.
            let changes = try DirectoryChanges(of: path, IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF)
            while try !isEmpty(path) {
                guard try changes.wait(until: deadline, interruption) else { return false }
            }
            return true
        } catch let error as RktError where error.code == .notFound {
            return true
        }
    }

    /// Waits until journald has read the streams of services that have ended to their ends, told of changes by inotify.
    ///
    /// A connection is in the kernel's list from its first moment, with what has not been read; from when its header
    /// was read it has a stream file, until its last line was stored. In between is the step that journald is at: it is
    /// over when journald answers whatever question.
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
            let changes = try DirectoryChanges(of: path, IN_DELETE | IN_MOVED_TO | IN_CREATE | IN_DELETE_SELF)
            while try !haveEnded(directory, units: units, journald) {
                guard try changes.wait(until: deadline, interruption) else { return false }
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
}

/// Changes of a directory, told by inotify. A host has few instances of that for one user (128): without one, the
/// directory is to be looked at again every now and then.
private struct DirectoryChanges: ~Copyable {
    private let path: String
    /// The inotify instance; -1 where there is none.
    private let inotify: CInt

    /// How long to leave the directory alone where nobody tells.
    private static let interval: Duration = .milliseconds(20)

    init(of path: String, _ events: Int32) throws {
        self.path = path
        do {
            let inotify = OwnedFD(
                taking: try system("watching \(path)") { inotify_init1(CInt(IN_CLOEXEC | IN_NONBLOCK)) }
            )
            let raw = inotify.rawValue
            try system("watching \(path)") { inotify_add_watch(raw, path, UInt32(events | IN_ONLYDIR)) }
            self.inotify = inotify.release()
        } catch let error as RktError where error.errno == EMFILE || error.errno == ENOSPC {
            inotify = -1
        }
    }

    deinit {
        if inotify >= 0 { close(inotify) }
    }

    /// Waits for a change, or until it is time to look.
    ///
    /// - Returns: False when the deadline has passed.
    func wait(until deadline: ContinuousClock.Instant, _ interruption: Interruption) throws -> Bool {
        if inotify < 0 {
            _ = try interruption.wait(for: -1, until: min(deadline, .now + Self.interval))
            return .now < deadline
        }
        guard try interruption.wait(for: inotify, until: deadline) else { return false }
        var buffer = [UInt8](repeating: 0, count: 16_384)
        do {
            while try system("watching \(path)", { read(inotify, &buffer, buffer.count) }) > 0 {}
        } catch let error as RktError where error.errno == EAGAIN {}
        return true
    }
}
