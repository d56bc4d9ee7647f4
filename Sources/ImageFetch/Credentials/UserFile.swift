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
    /// - Returns: Its content.
    /// - Throws: `RktError` with `notFound`, `invalidData` for what is not a regular file, `limitExceeded`.
    static func read(_ path: String, limit: Int) throws -> [UInt8] {
        let file = OwnedFD(
            taking: try system("opening \(path)") { open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        )
        guard try FileStatus(of: file, name: path).kind == .regular else {
            throw RktError(.invalidData, "\(path) is not a regular file")
        }
        return try file.readAll(limit: limit, name: path)
    }
}
