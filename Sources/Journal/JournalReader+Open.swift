internal import Diagnostics
internal import Glibc
internal import LinuxOS

extension JournalReader {
    // SD_JOURNAL_LOCAL_ONLY: this machine's entries, not those of other machines that are kept here.
    private static let localOnly: CInt = 1

    /// Loads the library, so that opening a journal need not; what keeps it from being loaded, opening tells.
    public static func prepare() {
        _ = try? LibSystemd.shared()
    }

    /// Opens the host's journal.
    ///
    /// - Returns: A reader before the first entry.
    /// - Throws: ``RktError`` with `permissionDenied`, or `missingDependency` without libsystemd.
    public static func openHost() throws -> JournalReader {
        let library = try LibSystemd.shared()
        return try JournalReader("the host's journal", library: library) { library.open($0, localOnly) }
    }

    /// Opens the journal of a namespace, as its journald keeps it; files it adds later are read too. A namespace that
    /// nobody has logged to yet is an empty journal.
    ///
    /// - Parameter namespace: The namespace.
    /// - Returns: A reader before the first entry.
    /// - Throws: ``RktError`` with `invalidArgument` for a name that no namespace can have.
    public static func open(namespace: String) throws -> JournalReader {
        try JournalControl.check(namespace: namespace)
        let library = try LibSystemd.shared()
        return try JournalReader("the journal of namespace \(namespace)", library: library) {
            library.openNamespace($0, namespace, localOnly)
        }
    }

    /// Opens journal files that nobody need write to any more: a namespace's directories of a pod that has ended.
    ///
    /// - Parameter directories: Directories with journal files. Of one directory, files added later are read too; of
    ///   several, only those that are there now.
    /// - Returns: A reader before the first entry.
    /// - Throws: ``RktError`` with `notFound` when a directory is missing.
    public static func open(directories: [String]) throws -> JournalReader {
        let library = try LibSystemd.shared()
        if directories.count == 1, let directory = directories.first {
            return try JournalReader("the journal in \(directory)", library: library) {
                library.openDirectory($0, directory, 0)
            }
        }
        var files: [String] = []
        for path in directories {
            let directory = try Directory(path: path)
            files += try directory.names()
                .filter { $0.hasSuffix(".journal") || $0.hasSuffix(".journal~") }
                .map { directory.path(of: $0) }
        }
        let name = "the journal in \(directories.joined(separator: ", "))"
        // One file that cannot be opened would make the library refuse all of them.
        let readable = files.filter { file in
            (try? JournalReader(file, library: library) { openFiles([file], library, $0) }) != nil
        }
        let unreadable = files.filter { !readable.contains($0) }
        return try JournalReader(name, library: library, unreadableFiles: unreadable) {
            openFiles(readable, library, $0)
        }
    }

    private static func openFiles(
        _ paths: [String],
        _ library: LibSystemd,
        _ handle: UnsafeMutablePointer<LibSystemd.Handle?>
    ) -> CInt {
        let copies = paths.map { strdup($0) }
        defer { copies.forEach { free($0) } }
        var list = copies.map { UnsafePointer($0) } + [nil]
        return library.openFiles(handle, &list, 0)
    }
}
