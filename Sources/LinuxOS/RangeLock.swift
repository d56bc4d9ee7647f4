internal import CLinux
internal import Diagnostics
internal import Glibc

/// Locks on numbers rather than files: one file serves for any number of things that have a number each.
///
/// They belong to the open file, as ``FileLock``'s do, so they end with its last descriptor and no process that dies
/// leaves one behind; two openings of a file are two holders, also in one process.
public enum RangeLock {
    /// Takes the lock of a number if that is possible at once.
    ///
    /// - Parameters:
    ///   - mode: Shared, or exclusive: for that the file must be open for writing.
    ///   - range: The numbers, none of them negative.
    ///   - file: The file.
    ///   - name: What it is, for errors.
    /// - Returns: Whether all of it was taken.
    /// - Throws: ``RktError`` when the file system has no locks.
    public static func tryLock(
        _ mode: FileLock.Mode,
        _ range: ClosedRange<Int64>,
        _ file: borrowing OwnedFD,
        name: String
    ) throws -> Bool {
        do {
            try set(mode, range, file, name: name, waits: false)
            return true
        } catch let error as RktError where error.errno == EAGAIN || error.errno == EACCES {
            return false
        }
    }

    /// Takes the lock of a number, waiting for it as long as it takes.
    ///
    /// - Parameters:
    ///   - mode: Shared, or exclusive: for that the file must be open for writing.
    ///   - range: The numbers, none of them negative.
    ///   - file: The file.
    ///   - name: What it is, for errors.
    /// - Throws: ``RktError`` when the file system has no locks.
    public static func lock(
        _ mode: FileLock.Mode,
        _ range: ClosedRange<Int64>,
        _ file: borrowing OwnedFD,
        name: String
    ) throws {
        try set(mode, range, file, name: name, waits: true)
    }

    /// Gives locks back; what is not held is no error.
    ///
    /// - Parameters:
    ///   - range: The numbers.
    ///   - file: The file.
    public static func unlock(_ range: ClosedRange<Int64>, _ file: borrowing OwnedFD) {
        _ = rkt_range_lock(file.rawValue, CInt(RKT_RANGE_FREE), range.lowerBound, length(range), false)
    }

    /// All numbers.
    public static let all: ClosedRange<Int64> = 0...Int64.max

    private static func set(
        _ mode: FileLock.Mode,
        _ range: ClosedRange<Int64>,
        _ file: borrowing OwnedFD,
        name: String,
        waits: Bool
    ) throws {
        let raw = file.rawValue
        let kind = CInt(mode == .shared ? RKT_RANGE_SHARED : RKT_RANGE_EXCLUSIVE)
        try system("locking \(name)") { rkt_range_lock(raw, kind, range.lowerBound, length(range), waits) }
    }

    /// To the end of all numbers is 0, for the kernel.
    private static func length(_ range: ClosedRange<Int64>) -> Int64 {
        range.upperBound == .max ? 0 : range.upperBound - range.lowerBound + 1
    }
}
