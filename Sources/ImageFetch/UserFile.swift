internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Files that whoever runs this program has put where they are, links and all.
enum UserFile {
    /// Reads a file.
    ///
    /// - Parameters:
    ///   - path: Its path.
    ///   - limit: The most bytes.
    ///   - what: What it is, for errors.
    /// - Returns: Its content.
    /// - Throws: `RktError` with `notFound`, `invalidData` for what is not a regular file, `limitExceeded`.
    static func read(_ path: String, limit: Int, what: String? = nil) throws -> [UInt8] {
        let name = what.map { "\($0) \(path)" } ?? path
        let file = OwnedFD(
            taking: try system("opening \(name)") { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        )
        guard try FileStatus(of: file, name: name).kind == .regular else {
            throw RktError(.invalidData, "\(name) is not a regular file")
        }
        return try file.readAll(limit: limit, name: name)
    }
}
