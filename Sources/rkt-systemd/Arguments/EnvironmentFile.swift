internal import Diagnostics

/// The format of `--set-env-file`: `NAME=value` lines, taken as they are; empty ones, and those that begin with `#` or
/// `;`, do not count.
enum EnvironmentFile {
    /// The largest file that is read, in bytes: more than the kernel lets a program's environment have.
    static let sizeLimit = 4 << 20

    /// Reads a file's content.
    ///
    /// - Parameters:
    ///   - text: The content.
    ///   - path: The file, for errors.
    /// - Returns: Names and values in the file's order.
    /// - Throws: ``RktError`` with `invalidData` for a line that is none, or a name that is set twice.
    static func parse(_ text: String, path: String) throws -> [(name: String, value: String)] {
        var result: [(name: String, value: String)] = []
        var names: Set<[UInt8]> = []
        for untrimmed in text.utf8.split(separator: UInt8(ascii: "\n")) {
            let line = untrimmed.last == UInt8(ascii: "\r") ? untrimmed.dropLast() : untrimmed
            guard let first = line.first, first != UInt8(ascii: "#"), first != UInt8(ascii: ";") else { continue }
            guard let pair = FlagValue.pair(String(Substring(line))), !line.contains(0) else {
                throw RktError(
                    .invalidData,
                    "environment variable must be specified as name=value (file \(FlagValue.quoted(path)))"
                )
            }
            guard names.insert(Array(pair.key.utf8)).inserted else {
                throw RktError(
                    .invalidData,
                    "environment variable \(FlagValue.quoted(pair.key)) already set (file \(FlagValue.quoted(path)))"
                )
            }
            result.append((pair.key, pair.value))
        }
        return result
    }
}
