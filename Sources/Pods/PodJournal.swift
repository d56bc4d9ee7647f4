internal import Diagnostics
internal import Glibc
internal import Journal
internal import LinuxOS
internal import Manifests

/// Where a pod's log is, and its files.
enum PodJournal: Equatable {
    /// The host's journal.
    case host
    /// A namespace of it.
    case namespace(String)
    /// That of a machine with this id, which keeps it by itself.
    case machine(String)

    /// Opens it.
    func open() throws -> JournalReader {
        switch self {
        case .host: try JournalReader.openHost()
        case .namespace(let name): try JournalReader.open(namespace: name)
        case .machine: try JournalReader.open(directories: try directories())
        }
    }

    /// Waits until all that the apps of an ended pod wrote can be read.
    ///
    /// - Parameters:
    ///   - units: The apps' units, as its journald knows them.
    ///   - deadline: When to give up.
    /// - Returns: Whether all is there; false when the deadline has passed.
    /// - Throws: ``RktError`` when the journal cannot be reached.
    func drain(units: [String], deadline: ContinuousClock.Instant) async throws -> Bool {
        switch self {
        case .host: try await JournalControl.drain(namespace: nil, units: units, deadline: deadline)
        case .namespace(let name): try await JournalControl.drain(namespace: name, units: units, deadline: deadline)
        // Its journald reads all that is left before it ends, and the machine ends after that.
        case .machine: true
        }
    }

    /// Makes the directory in which a journald will keep it, if it is missing: persistent where the host's journal is.
    func ensureDirectory() throws {
        let name: String
        switch self {
        case .host: return
        case .namespace(let namespace): name = "\(try JournalControl.machineID()).\(namespace)"
        case .machine(let id): name = id
        }
        let persistent = access("/var/log/journal", F_OK) == 0
        let parent = try Directory.ensure(path: persistent ? "/var/log/journal" : "/run/log/journal")
        _ = try parent.ensureDirectory(name, mode: 0o755)
    }

    /// Removes it, wherever it is kept.
    func remove() throws {
        for path in try directories() {
            guard let slash = path.lastIndex(of: "/") else { continue }
            try Directory(path: String(path[..<slash])).removeTree(String(path[path.index(after: slash)...]))
        }
    }

    private func directories() throws -> [String] {
        switch self {
        case .host: []
        case .namespace(let name): try JournalControl.journalDirectories(namespace: name)
        case .machine(let id):
            ["/var/log/journal", "/run/log/journal"].map { "\($0)/\(id)" }.filter { access($0, F_OK) == 0 }
        }
    }

    /// Removes all that a pod may have logged to but the host's journal, whatever has become of its directory.
    static func removeAll(of pod: PodUUID) throws {
        try namespace(PodNames.machine(pod)).remove()
        try machine(pod.hex).remove()
    }
}
