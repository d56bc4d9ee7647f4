internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Where the journal of a namespace is, and when all that was logged is in it.
///
/// What was learnt from journald of systemd 252, 257 and 262:
///
/// * Each stdout connection of a unit has a file in `/run/systemd/journal.NS/streams` from when its header was read
///   until its end was read and logged. Before that it only waits in the socket's queue, so no stream file does not yet
///   mean that nothing is on its way.
/// * Synchronize answers on 252 and 257 when nothing waits any more in any socket, on 262 when all is read that
///   waited when it was asked; a last line without its newline is logged only when the stream ends.
/// * So: first ``synchronize(namespace:deadline:)``, then wait for the streams to end: of 60,001 lines,
///   the last unterminated, none was left behind in any run on all three; without it 600 to 11,000 were there when the
///   app had ended. But on 252 and 257 it waits for the disk, 5 to 20 ms.
/// * The kernel's list of sockets has what of them was not read yet, so that both together tell without the disk:
///   ``drain(namespace:units:deadline:)`` looks there first, and falls back on Synchronize.
/// * The varlink socket is socket activated: to connect starts journald where the pod's units are up and it ended
///   for idleness (it never does while a unit has a stream). When they are down nobody listens, which is an answer.
public enum JournalControl {
    /// Where systemd keeps its runtime files.
    static let runtimeDirectory = "/run/systemd"

    /// Waits until journald has read and stored what was logged before. Where no journald listens there is nothing to
    /// wait for.
    ///
    /// - Parameters:
    ///   - namespace: The journal's namespace; nil for the host's.
    ///   - deadline: When to give up.
    /// - Returns: Whether a journald was there to be asked.
    /// - Throws: ``RktError`` with `timeout` when journald did not answer in time (it may still be reading: a flood),
    ///   `permissionDenied` when the caller is not root, `invalidArgument` for a name that no namespace can have.
    @discardableResult
    public static func synchronize(
        namespace: String?,
        deadline: ContinuousClock.Instant = .now + .seconds(10)
    ) async throws -> Bool {
        try await synchronize(namespace: namespace, deadline: deadline, runtimeDirectory: runtimeDirectory)
    }

    static func synchronize(
        namespace: String?,
        deadline: ContinuousClock.Instant,
        runtimeDirectory: String
    ) async throws -> Bool {
        let directory = try journalRuntime(namespace, in: runtimeDirectory)
        let method = "io.systemd.Journal.Synchronize"
        return try await OwnThread.run { interruption in
            let path = "\(directory)/io.systemd.journal"
            do {
                let journald = try VarlinkConnection(to: path, until: deadline, interruption)
                do {
                    // 262 would wait for the disk otherwise, and a reader needs only that the lines are in the files.
                    try journald.call(method, parameters: #"{"offline":false}"#)
                } catch let error as VarlinkFailure where error.isInvalidParameter {
                    // 252 and 257 know no parameters.
                    try journald.call(method, parameters: "{}")
                }
                return true
            } catch is VarlinkConnection.NobodyListens {
                return false
            } catch let error as VarlinkFailure {
                throw RktError(.failed, "synchronizing the journal over \(path)", cause: error)
            }
        }
    }

    /// Waits until no stdout stream of a namespace is left: until every process that logged has closed it and its
    /// last line is stored.
    ///
    /// - Parameters:
    ///   - namespace: The journal's namespace.
    ///   - deadline: When to give up.
    ///   - runtimeDirectory: The directory of journald's runtime files.
    /// - Returns: Whether none is left; false when the deadline has passed.
    /// - Throws: ``RktError`` with `invalidArgument` for a name that no namespace can have; `CancellationError`.
    static func waitForStreamsToEnd(
        namespace: String,
        deadline: ContinuousClock.Instant,
        runtimeDirectory: String
    ) async throws -> Bool {
        let directory = try journalRuntime(namespace, in: runtimeDirectory) + "/streams"
        return try await OwnThread.run { interruption in
            try StreamWatch.waitUntilEmpty(directory, until: deadline, interruption)
        }
    }

    /// Waits until all that the processes of an ended pod wrote to their standard output and error can be read.
    ///
    /// - Parameters:
    ///   - namespace: The pod's journal namespace; nil for the host's journal.
    ///   - units: The pod's units.
    ///   - deadline: When to give up.
    /// - Returns: Whether all is there; false when the deadline has passed, and lines may be missing.
    /// - Throws: ``RktError`` as ``synchronize(namespace:deadline:)``, but no `timeout`.
    public static func drain(
        namespace: String?,
        units: [String],
        deadline: ContinuousClock.Instant
    ) async throws -> Bool {
        let directory = try journalRuntime(namespace, in: runtimeDirectory)
        let hasEnded = try await OwnThread.run { interruption in
            try StreamWatch.waitUntilRead(
                directory,
                units: units,
                until: min(deadline, .now + streamPatience),
                interruption
            )
        }
        if hasEnded { return true }
        guard let namespace else { return try await synchronize(namespace: nil, deadline: deadline) }
        return try await drain(namespace: namespace, deadline: deadline, runtimeDirectory: runtimeDirectory)
    }

    /// How long the kernel's word is waited for before journald is asked, who has to wait for the disk then.
    private static let streamPatience: Duration = .seconds(1)

    static func drain(
        namespace: String,
        deadline: ContinuousClock.Instant,
        runtimeDirectory: String
    ) async throws -> Bool {
        var limit = deadline
        do {
            let answered = try await synchronize(
                namespace: namespace,
                deadline: deadline,
                runtimeDirectory: runtimeDirectory
            )
            // Without a journald no stream that is left will end any more.
            if !answered { limit = .now }
        } catch let error as RktError where error.code == .timeout {
            return false
        } catch let error as RktError where error.code == .unavailable {
            // It was asked while it ended, as it does behind the last unit of its namespace; it reads all before.
        }
        return try await waitForStreamsToEnd(
            namespace: namespace,
            deadline: limit,
            runtimeDirectory: runtimeDirectory
        )
    }

    /// The directories that hold a namespace's journal files.
    ///
    /// - Parameters:
    ///   - namespace: The journal's namespace.
    ///   - machineID: The machine that logged, 32 hexadecimal digits; nil for this one.
    /// - Returns: Those that exist, the persistent one first.
    /// - Throws: ``RktError`` with `invalidArgument` for a name or an id that cannot be.
    public static func journalDirectories(namespace: String, machineID: String? = nil) throws -> [String] {
        try journalDirectories(
            namespace: namespace,
            machineID: machineID,
            roots: ["/var/log/journal", "/run/log/journal"]
        )
    }

    static func journalDirectories(namespace: String, machineID: String?, roots: [String]) throws -> [String] {
        try check(namespace: namespace)
        let machine = try machineID ?? Self.machineID()
        guard machine.utf8.count == 32, machine.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
            throw RktError(.invalidArgument, "\"\(machine)\" is not a machine id")
        }
        return roots.map { "\($0)/\(machine).\(namespace)" }.filter { path in
            var status = stat()
            return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        }
    }

    /// The id of this machine.
    ///
    /// - Returns: 32 hexadecimal digits.
    /// - Throws: ``RktError`` when `/etc/machine-id` is missing or not filled in.
    public static func machineID() throws -> String {
        let library = try LibSystemd.shared()
        var bytes = [UInt8](repeating: 0, count: 16)
        let result = bytes.withUnsafeMutableBytes { library.machineID($0.baseAddress) }
        guard result >= 0 else { throw RktError(errno: -result, "reading the machine id (/etc/machine-id)") }
        return bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    /// The directory where journald of a namespace keeps sockets and streams.
    private static func journalRuntime(_ namespace: String?, in runtimeDirectory: String) throws -> String {
        guard let namespace else { return "\(runtimeDirectory)/journal" }
        try check(namespace: namespace)
        return "\(runtimeDirectory)/journal.\(namespace)"
    }

    /// Refuses what systemd would not take as a namespace's name, before it becomes part of a path.
    static func check(namespace: String) throws {
        let isSafe = namespace.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."),
                UInt8(ascii: ":"):
                true
            default: false
            }
        }
        // The longest unit name it becomes part of is systemd-journald-varlink@NAMESPACE.socket, of 255 bytes.
        guard isSafe, !namespace.isEmpty, namespace.utf8.count <= 223, namespace != ".", namespace != ".." else {
            throw RktError(.invalidArgument, "\"\(namespace)\" is not the name of a journal namespace")
        }
    }
}
