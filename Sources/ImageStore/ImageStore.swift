internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
internal import LinuxOS
internal import Manifests

/// The images on this host: content-addressed blobs, unpacked layers, and a record for each image.
///
/// Plain files, no database and no daemon; any number of processes use one store at the same time.
///
/// | path | content |
/// |---|---|
/// | `blobs/ALGORITHM/HEX` | manifests, configurations and layers as they came, an ACI as an uncompressed tar |
/// | `layers/HEX/` | unpacked layers, mode 0700 around them all: their set-uid files are nobody's to run |
/// | `images/ID.json` | a record for each image; the time of the file is the image's last use |
/// | `tmp/` | work in progress, each piece locked by whoever works on it |
/// | `lock` | held shared by those who add or use, exclusively by those who remove |
///
/// Everything appears under its final name whole and synced, or not at all: blobs first, the record last. So an image
/// that is listed is complete, whatever was killed and whenever the power went. What a dead process leaves in `tmp` is
/// removed by the next one that works there.
public final class ImageStore: Sendable {
    /// The store's directory.
    public let root: String
    /// What images may cost.
    public let limits: ImageLimits
    let directory: Directory
    /// Called before each step that a crash could come between; tests end the process there.
    let crashPoint: @Sendable (_ step: String) -> Void

    /// Opens a store.
    ///
    /// - Parameters:
    ///   - root: The store's directory, absolute.
    ///   - create: Whether to make it if it is not there.
    ///   - limits: What images may cost.
    /// - Throws: ``RktError`` with `notFound` when it is not there, `permissionDenied` when it may not be used.
    public convenience init(root: String, create: Bool, limits: ImageLimits = ImageLimits()) throws {
        try self.init(root: root, create: create, limits: limits) { _ in }
    }

    init(
        root: String,
        create: Bool,
        limits: ImageLimits,
        crashPoint: @escaping @Sendable (String) -> Void
    ) throws {
        self.root = root
        self.limits = limits
        self.crashPoint = crashPoint
        directory = create ? try Directory.ensure(path: root) : try Directory(path: root)
        guard create else { return }
        for name in ["blobs", "images", "tmp"] { _ = try directory.ensureDirectory(name) }
        for algorithm in Digest.Algorithm.allCases {
            _ = try directory.directory("blobs").ensureDirectory(algorithm.rawValue)
        }
        // Root's alone: those who only read the store cannot open it.
        if !directory.contains("layers") { _ = try directory.ensureDirectory("layers", mode: 0o700) }
        if !directory.contains("lock") {
            _ = try directory.open("lock", flags: O_RDONLY | O_CREAT, mode: 0o644)
        }
    }

    // MARK: Parts

    func part(_ name: String) throws -> Directory {
        try withContext("\(root) is not an image store") { try directory.directory(name) }
    }

    func blobDirectory(_ algorithm: Digest.Algorithm) throws -> Directory {
        try part("blobs").directory(algorithm.rawValue)
    }

    func openBlob(_ digest: Digest) throws -> OwnedFD {
        try blobDirectory(digest.algorithm).open(digest.hex)
    }

    func blobSize(_ digest: Digest) -> Int64? {
        guard let status = try? blobDirectory(digest.algorithm).status(of: digest.hex), status.kind == .regular else {
            return nil
        }
        return status.size
    }

    /// A small blob, hashed again: what is parsed was verified a moment ago.
    func readBlob(_ digest: Digest) throws -> [UInt8] {
        let bytes = try blobDirectory(digest.algorithm).read(digest.hex, limit: limits.manifestBytes)
        guard try ContentHash.digest(digest.algorithm, of: bytes) == digest else {
            throw RktError(.digestMismatch, "blob \(digest) in \(root) is damaged: remove the image and fetch it again")
        }
        return bytes
    }

    static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }
}

/// The right to use what is in a store: while it is held, nothing is removed from it.
///
/// Hold it from before an image is looked up until the pod that uses it is on record.
public final class StoreLease: Sendable {
    private let file: OwnedFD

    init(_ file: consuming OwnedFD) {
        self.file = file
    }

    deinit {
        // Closing would not do while a child that was forked meanwhile has the descriptor too.
        FileLock.unlock(file)
    }
}

extension ImageStore {
    /// Keeps others from removing anything, as long as the result is held; it does not keep out other users.
    ///
    /// - Returns: The lease.
    /// - Throws: ``RktError`` when the lock cannot be had.
    public func lease() throws -> StoreLease {
        let file = try directory.open("lock")
        try FileLock.lock(.shared, file, name: directory.path(of: "lock"))
        return StoreLease(file)
    }

    /// The right to remove, if nobody uses the store.
    func exclusive() throws -> StoreLease? {
        let file = try directory.open("lock")
        return try FileLock.tryLock(.exclusive, file, name: directory.path(of: "lock")) ? StoreLease(file) : nil
    }
}
