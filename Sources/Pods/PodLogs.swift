internal import Diagnostics
internal import Journal
public import Manifests
internal import Synchronization

/// A line that an app wrote to its standard output or error.
public struct LogLine: Sendable {
    /// The app.
    public let app: String
    /// The process that wrote it.
    public let pid: Int32?
    /// When the journal got it, in microseconds since the epoch.
    public let realtime: UInt64
    /// The line, as it was written, without its line feed.
    public let message: [UInt8]
}

/// Reads what a pod's apps have written, while it runs and after.
public final class PodLogs: Sendable {
    /// The pod.
    public let uuid: PodUUID
    private let apps: [String]
    private let stage1: any Stage1
    private let journal: PodJournal
    private let state: Mutex<State>

    private struct State {
        var reader: JournalReader?
        var cursor: String?
    }

    /// Names a pod's log. The journal is opened when it is first read.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - apps: Only these apps; all when empty.
    /// - Throws: ``RktError`` with `notFound` when there is no such app.
    public init(of pod: PodDirectory, apps: [String] = []) throws {
        let known = try pod.overview().map(\.name)
        for app in apps where !known.contains(app) {
            throw RktError(
                .notFound,
                "pod \"\(pod.uuid)\" has no app \"\(app)\": it has \(known.joined(separator: ", "))"
            )
        }
        let configuration = try RuntimeConfiguration(of: pod)
        uuid = pod.uuid
        self.apps = apps.isEmpty ? known : apps
        stage1 = configuration.stage1.conformer
        journal = stage1.journal(of: pod.uuid, configuration.journal)
        // A reader follows a directory; one that is made later it does not find.
        let mayLog = try pod.phase == .prepared || pod.state() == .running
        if mayLog { try? journal.ensureDirectory() }
        state = Mutex(State())
    }

    /// Loads what reading a journal takes: a library that takes a millisecond.
    public static func prepare() {
        JournalReader.prepare()
    }

    /// The journal, open for what comes from the apps' units: systemd's own messages about them carry the pod's fields
    /// too, but come from systemd.
    private func reader(_ state: inout State) throws -> JournalReader {
        if let reader = state.reader { return reader }
        let reader = try journal.open()
        for app in apps { try reader.addMatch("_SYSTEMD_UNIT", stage1.unit(of: app, in: uuid)) }
        if let cursor = state.cursor {
            try reader.seek(behindCursor: cursor)
        } else {
            try reader.seekHead()
        }
        state.reader = reader
        return reader
    }

    /// Leaves out all lines but the last so many.
    ///
    /// - Parameter count: How many to keep.
    /// - Throws: ``RktError`` when the journal cannot be read.
    public func skip(toLast count: UInt64) throws {
        try state.withLock { state in try self.reader(&state).seekTail(keeping: count) }
    }

    /// Looks at the journal's files afresh, behind the last line read: a reader sees only files that were there when
    /// it was opened, unless the host has notifications left for it.
    public func reopen() {
        state.withLock { $0.reader = nil }
    }

    /// The next line that is there.
    ///
    /// - Returns: Nil when there is none yet.
    /// - Throws: ``RktError`` when the journal cannot be read.
    public func next() throws -> LogLine? {
        try state.withLock { state in
            let reader = try self.reader(&state)
            while let entry = try reader.next() {
                state.cursor = entry.cursor
                guard let app = entry.app ?? stage1.speaker else { continue }
                return LogLine(app: app, pid: entry.pid, realtime: entry.realtime, message: Array(entry.message))
            }
            return nil
        }
    }

    /// Waits for lines to come.
    ///
    /// - Parameter timeout: How long; nil for as long as it takes.
    /// - Returns: Whether there may be some.
    /// - Throws: ``RktError`` when the journal cannot be watched; `cancelled`.
    public func wait(timeout: Duration? = nil) async throws -> Bool {
        let reader = try state.withLock { state throws -> JournalReader in try self.reader(&state) }
        return try await reader.wait(timeout: timeout)
    }

    /// Waits until all that the apps of an ended pod wrote can be read here.
    ///
    /// - Parameter deadline: When to give up.
    /// - Returns: Whether all is there; false when the deadline has passed.
    /// - Throws: ``RktError`` when the journal cannot be reached.
    public func drain(deadline: ContinuousClock.Instant) async throws -> Bool {
        try await journal.drain(units: apps.map { stage1.unit(of: $0, in: uuid) }, deadline: deadline)
    }
}
