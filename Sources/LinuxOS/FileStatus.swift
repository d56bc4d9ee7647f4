internal import Diagnostics
internal import Glibc

/// What `fstat(2)` says of a file, as far as this project asks.
public struct FileStatus: Sendable {
    /// The kinds of file that make a difference here.
    public enum Kind: Sendable {
        /// A regular file.
        case regular
        /// A directory.
        case directory
        /// A symbolic link.
        case link
        /// A device node, socket or pipe.
        case special
    }

    /// The kind of file.
    public let kind: Kind
    /// The permission bits.
    public let mode: UInt32
    /// The owner.
    public let uid: UInt32
    /// The group.
    public let gid: UInt32
    /// The size in bytes.
    public let size: Int64
    /// The file system and the number in it: equal for the same file.
    public let identity: (device: UInt64, inode: UInt64)
    /// The last change of the content, in nanoseconds since the epoch.
    public let modified: Int64
    /// The last change of the content or of the inode, in nanoseconds since the epoch.
    public let changed: Int64

    /// Asks for the status of an open file.
    ///
    /// - Parameters:
    ///   - file: The file; a path-only descriptor will do.
    ///   - name: What the file is, for errors.
    /// - Throws: ``RktError`` for the errno.
    public init(of file: borrowing OwnedFD, name: String) throws {
        var status = stat()
        let raw = file.rawValue
        try system("looking at \(name)") { fstat(raw, &status) }
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .regular
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .link
        default: kind = .special
        }
        mode = status.st_mode & 0o7777
        uid = status.st_uid
        gid = status.st_gid
        size = Int64(status.st_size)
        identity = (UInt64(status.st_dev), UInt64(status.st_ino))
        modified = Self.nanoseconds(status.st_mtim)
        changed = Self.nanoseconds(status.st_ctim)
    }

    /// Whoever owns a file may give it any time: one that is out of range is the last or first there is.
    private static func nanoseconds(_ time: timespec) -> Int64 {
        let (whole, isOut) = Int64(time.tv_sec).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, isOver) = whole.addingReportingOverflow(Int64(time.tv_nsec))
        return isOut || isOver ? (time.tv_sec < 0 ? .min : .max) : sum
    }
}
