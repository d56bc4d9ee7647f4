internal import Glibc

/// Standard error: a unit's journal, or a user's terminal.
enum Stderr {
    /// Prints a line.
    static func print(_ line: String) {
        let bytes = Array("\(line)\n".utf8)
        _ = bytes.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}
