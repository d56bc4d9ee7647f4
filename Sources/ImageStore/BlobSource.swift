internal import CLinux
internal import Glibc
package import LinuxOS
internal import Synchronization

/// The content of a blob that is to be imported.
package final class BlobSource: Sendable {
    /// The content.
    package let file: OwnedFD
    /// Where it lies, when it may be moved from there instead of copied: nobody else can write to it.
    let owned: (directory: Directory, name: String)?
    /// Throws what whoever writes the content has failed with, if it has; asked when all that came has been read.
    let check: @Sendable () throws -> Void
    /// Whether it is a blob of the store's already.
    let isStored: Bool

    /// A blob of the store's: its content is still to be checked.
    init(stored file: consuming OwnedFD) {
        self.file = file
        owned = nil
        check = {}
        isStored = true
    }

    /// A file that others own, or a stream (``LocalStream``).
    package init(_ file: consuming OwnedFD, check: @escaping @Sendable () throws -> Void = {}) {
        self.file = file
        self.check = check
        owned = nil
        isStored = false
    }

    /// A file in a work area, with one name.
    package init(moving name: String, in directory: Directory) throws {
        file = try directory.open(name, flags: O_RDONLY | O_NOFOLLOW)
        owned = (directory, name)
        check = {}
        isStored = false
    }
}

/// A file that a blob is copied to.
package final class BlobCopy: Sendable {
    /// So many bytes at once are sent on their way to the disk, so that syncing finds little left to do.
    private static let chunk: Int64 = 8 << 20

    let file: OwnedFD
    private let size = Mutex<Int64>(0)

    init(_ file: consuming OwnedFD) {
        self.file = file
    }

    func write(_ bytes: UnsafeRawBufferPointer, name: String) throws {
        try file.writeAll(bytes, name: name)
        size.withLock { size in
            let start = size / Self.chunk * Self.chunk
            size += Int64(bytes.count)
            let end = size / Self.chunk * Self.chunk
            if end > start { rkt_start_writeback(file.rawValue, start, end - start) }
        }
    }
}
