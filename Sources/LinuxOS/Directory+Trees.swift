internal import CLinux
internal import Diagnostics
internal import Glibc

/// An entry of a directory tree, as ``Directory/walk(_:)`` finds it.
public struct TreeEntry: Sendable {
    /// The path below the tree's root, as bytes; `.` for the root.
    public let path: [UInt8]
    /// What it is.
    public let kind: Kind
    /// The permission bits with set-uid, set-gid and sticky.
    public let mode: UInt32
    /// The owner.
    public let uid: UInt32
    /// The owning group.
    public let gid: UInt32
    /// The size in bytes.
    public let size: Int64
    /// The numbers of a device.
    public let device: (major: UInt32, minor: UInt32)
    /// When the content was modified last.
    public let modified: (seconds: Int64, nanoseconds: UInt32)
    /// What tells the files of the tree's file system apart, and how many names this one has.
    public let identity: (device: UInt64, inode: UInt64, links: UInt64)
    /// The text of a symbolic link, as bytes.
    public let target: [UInt8]
    /// The extended attributes that an image can have, and those of overlayfs, sorted by name.
    public let attributes: [(name: String, value: [UInt8])]
    /// A regular file, open for reading as long as the visit lasts.
    public let file: CInt

    /// A kind of file.
    public enum Kind: Sendable, Hashable {
        case file, directory, link, characterDevice, blockDevice, pipe, socket
    }

    /// The path as text, for messages.
    public var name: String { String(decoding: path, as: UTF8.self) }

    /// Whether it says to overlayfs that lower layers' entry is not there.
    public var isWhiteout: Bool { kind == .characterDevice && device == (0, 0) }

    init(_ entry: rkt_tree_entry) {
        path = Self.bytes(entry.path)
        target = entry.target.map(Self.bytes) ?? []
        switch entry.mode & S_IFMT {
        case S_IFDIR: kind = .directory
        case S_IFLNK: kind = .link
        case S_IFCHR: kind = .characterDevice
        case S_IFBLK: kind = .blockDevice
        case S_IFIFO: kind = .pipe
        case S_IFSOCK: kind = .socket
        default: kind = .file
        }
        mode = entry.mode & 0o7777
        (uid, gid, size) = (entry.uid, entry.gid, entry.size)
        device = (entry.major, entry.minor)
        modified = (entry.seconds, entry.nanoseconds)
        identity = (entry.device, entry.inode, entry.links)
        file = entry.file
        attributes = (0..<entry.attribute_count).compactMap { index in
            entry.attributes.map { list in
                let attribute = list[index]
                return (
                    String(cString: attribute.name),
                    [UInt8](UnsafeRawBufferPointer(start: attribute.value, count: attribute.size))
                )
            }
        }
    }

    private static func bytes(_ text: UnsafePointer<CChar>) -> [UInt8] {
        [UInt8](UnsafeRawBufferPointer(start: text, count: strlen(text)))
    }
}

extension Directory {
    /// Visits all that is in the directory, itself first, a directory before what is in it, names in the order of their
    /// bytes. No link is followed.
    ///
    /// - Parameter visit: What to do with each entry.
    /// - Throws: ``RktError`` naming the entry that cannot be read, and what `visit` throws.
    public func walk(_ visit: (TreeEntry) throws -> Void) throws {
        try withoutActuallyEscaping(visit) { visit in
            let visitor = Visitor(visit)
            try Self.run(path, "reading", visitor) { context, place in
                rkt_tree_walk(
                    descriptor.rawValue,
                    { context, entry in Visitor.of(context).visit(TreeEntry(entry.pointee)) },
                    context,
                    place
                )
            }
        }
    }

    /// Copies what is in the directory into an empty one: owners, modes, times, extended attributes, links, devices and
    /// holes; what overlayfs writes into layers is left out. Needs root.
    ///
    /// - Parameters:
    ///   - other: The empty directory, which gets this one's owner and mode at the end.
    ///   - isKept: Whether an entry is copied, by its path below the directory; all are when nil.
    /// - Throws: ``RktError`` naming the entry that cannot be copied.
    public func copyTree(to other: Directory, keeping isKept: (([UInt8]) -> Bool)? = nil) throws {
        guard let isKept else {
            return try Self.run(other.path, "copying", Visitor { _ in }) { _, place in
                rkt_tree_copy(descriptor.rawValue, other.descriptor.rawValue, nil, nil, place)
            }
        }
        try withoutActuallyEscaping(isKept) { isKept in
            let visitor = Visitor({ _ in }, isKept: isKept)
            try Self.run(other.path, "copying", visitor) { context, place in
                rkt_tree_copy(
                    descriptor.rawValue,
                    other.descriptor.rawValue,
                    { context, path in Visitor.of(context).keeps(path) },
                    context,
                    place
                )
            }
        }
    }

    private static func run(
        _ root: String,
        _ action: String,
        _ visitor: Visitor,
        _ body: (UnsafeMutableRawPointer, UnsafeMutablePointer<CChar>) -> CInt
    ) throws {
        let place = UnsafeMutablePointer<CChar>.allocate(capacity: Int(RKT_TREE_PATH))
        defer { place.deallocate() }
        let result = body(Unmanaged.passUnretained(visitor).toOpaque(), place)
        let number = rkt_errno()
        if let failure = visitor.failure { throw failure }
        guard result == 0 else {
            throw RktError(errno: number, "\(action) \(root)/\(String(cString: place))")
        }
    }
}

/// What a walk calls, on its way through C.
private final class Visitor {
    private let body: (TreeEntry) throws -> Void
    private let isKept: ([UInt8]) -> Bool
    private(set) var failure: (any Error)?

    init(_ body: @escaping (TreeEntry) throws -> Void, isKept: @escaping ([UInt8]) -> Bool = { _ in true }) {
        self.body = body
        self.isKept = isKept
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> Visitor {
        guard let context else { preconditionFailure("a walk without a visitor") }
        return Unmanaged<Visitor>.fromOpaque(context).takeUnretainedValue()
    }

    func visit(_ entry: TreeEntry) -> CInt {
        do {
            try body(entry)
            return 0
        } catch {
            failure = error
            return 1
        }
    }

    func keeps(_ path: UnsafePointer<CChar>) -> CInt {
        isKept([UInt8](UnsafeRawBufferPointer(start: path, count: strlen(path)))) ? 1 : 0
    }
}

extension Directory {
    /// Lets two entries change places, so that each name always leads to one of them.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - otherName: The name of the other one.
    ///   - other: The directory of the other one.
    /// - Throws: ``RktError`` when one of them is not there, or the file system cannot do it.
    public func exchange(_ name: String, with otherName: String, in other: Directory) throws {
        let from = descriptor.rawValue
        let to = other.descriptor.rawValue
        try system("exchanging \(path(of: name)) and \(other.path(of: otherName))") {
            rkt_renameat2(from, name, to, otherName, 2)
        }
    }
}
