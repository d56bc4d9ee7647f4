internal import Diagnostics
internal import CLinux
internal import Glibc

/// Whole-file locks (`flock(2)`): they belong to the open file, are inherited by children, and end with the last
/// descriptor, so a process that dies never leaves one behind.
public enum FileLock {
    /// How many may hold the lock at once.
    public enum Mode: Sendable {
        /// Any number of holders.
        case shared
        /// One holder.
        case exclusive

        fileprivate var operation: CInt { self == .shared ? LOCK_SH : LOCK_EX }
    }

    /// Takes the lock if that is possible at once.
    ///
    /// - Parameters:
    ///   - mode: Shared or exclusive.
    ///   - file: The file or directory.
    ///   - name: What it is, for errors.
    /// - Returns: Whether the lock was taken.
    /// - Throws: ``RktError`` for an errno other than "would block".
    public static func tryLock(_ mode: Mode, _ file: borrowing OwnedFD, name: String) throws -> Bool {
        let raw = file.rawValue
        do {
            try system("locking \(name)") { flock(raw, mode.operation | LOCK_NB) }
            return true
        } catch let error as RktError where error.errno == EWOULDBLOCK {
            return false
        }
    }

    /// Takes the lock, waiting for it as long as it takes: only for locks that are held for a moment.
    ///
    /// - Parameters:
    ///   - mode: Shared or exclusive.
    ///   - file: The file or directory.
    ///   - name: What it is, for errors.
    /// - Throws: ``RktError`` for the errno.
    public static func lock(_ mode: Mode, _ file: borrowing OwnedFD, name: String) throws {
        let raw = file.rawValue
        try system("locking \(name)") { flock(raw, mode.operation) }
    }

    /// Puts a mark beside the lock that others can see without taking the lock, so that looking never stands in the way
    /// of taking. It ends with the open file, as the lock does.
    ///
    /// - Parameters:
    ///   - file: The file or directory, open for reading.
    ///   - name: What it is, for errors.
    /// - Throws: ``RktError`` when the file system has no locks.
    public static func mark(_ file: borrowing OwnedFD, name: String) throws {
        let raw = file.rawValue
        try system("locking \(name)") { rkt_mark(raw) }
    }

    /// Whether another open file of the same file carries a mark.
    ///
    /// - Parameters:
    ///   - file: The file or directory.
    ///   - name: What it is, for errors.
    /// - Returns: True while the holder lives.
    /// - Throws: ``RktError`` when the file system has no locks.
    public static func isMarked(_ file: borrowing OwnedFD, name: String) throws -> Bool {
        let raw = file.rawValue
        return try system("looking at the lock of \(name)") { rkt_is_marked(raw) } == 1
    }

    /// Gives the lock back.
    ///
    /// - Parameter file: The file or directory.
    public static func unlock(_ file: borrowing OwnedFD) {
        flock(file.rawValue, LOCK_UN)
    }
}
