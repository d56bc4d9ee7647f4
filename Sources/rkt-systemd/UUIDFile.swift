internal import Diagnostics
internal import LinuxOS

/// Files that hold a pod's UUID (`--uuid-file`, `--uuid-file-save`).
enum UUIDFile {
    /// The UUID in a file.
    static func read(_ path: String) throws -> String {
        let (directory, name) = try split(path)
        return try withContext("reading the UUID file \(path)") {
            let text = try directory.readText(name, limit: 4096)
            guard let word = text.split(whereSeparator: \.isWhitespace).first else {
                throw RktError(.invalidData, "it is empty")
            }
            return String(word)
        }
    }

    /// Writes a UUID to a file, mode 0644, without a line feed.
    static func write(_ uuid: String, to path: String) throws {
        let (directory, name) = try split(path)
        try withContext("writing the UUID file \(path)") { try directory.write(name, uuid, mode: 0o644) }
    }

    /// Opens a file that the user named.
    static func open(_ path: String) throws -> OwnedFD {
        let (directory, name) = try split(path)
        return try directory.open(name)
    }

    private static func split(_ path: String) throws -> (Directory, String) {
        let absolute = AbsolutePath.of(path)
        guard let slash = absolute.lastIndex(of: "/"), absolute.index(after: slash) < absolute.endIndex else {
            throw RktError(.invalidArgument, "\"\(path)\" is not a file's name")
        }
        let parent = absolute[..<slash]
        let name = String(absolute[absolute.index(after: slash)...])
        return (try Directory(path: parent.isEmpty ? "/" : String(parent)), name)
    }
}
