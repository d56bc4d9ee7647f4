internal import Diagnostics
internal import Glibc
internal import Journal
internal import LinuxOS
internal import Manifests

/// The journal namespace of a pod, as files.
enum PodJournal {
    /// The directory in which the namespace's journald will keep the journal, made if it is missing: persistent where
    /// the host's journal is.
    static func ensureDirectory(_ uuid: PodUUID) throws -> String {
        let name = "\(try JournalControl.machineID()).\(PodNames.machine(uuid))"
        let persistent = access("/var/log/journal", F_OK) == 0
        let parent = try Directory.ensure(path: persistent ? "/var/log/journal" : "/run/log/journal")
        return try parent.ensureDirectory(name, mode: 0o755).path
    }

    /// Removes the journal, wherever it is kept.
    static func remove(_ uuid: PodUUID) throws {
        for path in try JournalControl.journalDirectories(namespace: PodNames.machine(uuid)) {
            guard let slash = path.lastIndex(of: "/") else { continue }
            try Directory(path: String(path[..<slash])).removeTree(String(path[path.index(after: slash)...]))
        }
    }
}
