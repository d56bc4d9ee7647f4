internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
package import LinuxOS
package import Manifests

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
/// | `blobs/.claims.UID` | a lock for each digest that a process of a user is bringing (``DownloadClaim``) |
/// | `uses` | a lock for each digest that somebody uses just now (``StoreLease``) |
///
/// Everything appears under its final name whole and synced, or not at all: blobs first, the record last. So an image
/// that is listed is complete, whatever was killed and whenever the power went. What a dead process leaves in `tmp` is
/// removed by the next one that works there.
///
/// Where the store's directory has the set-group-ID bit, as `/var/lib/rkt` has, the members of its group may add to it:
/// the first three directories are theirs to write to, each file its maker's. What root makes of that:
/// ``ImageRecord/isTrusted(by:)``.
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
        try makeParts()
    }

    private func makeParts() throws {
        let members = try StoreMembers(of: directory)
        for name in ["blobs", "images", "tmp"] { try members.admit(try directory.ensureDirectory(name)) }
        for algorithm in Digest.Algorithm.allCases {
            try members.admit(try directory.directory("blobs").ensureDirectory(algorithm.rawValue))
        }
        // Root's alone: those who only read the store cannot open it.
        if !directory.contains("layers") { _ = try directory.ensureDirectory("layers", mode: 0o700) }
        if !directory.contains("uses") {
            _ = try directory.open("uses", flags: O_RDONLY | O_CREAT | O_NOFOLLOW, mode: 0o644)
        }
    }

    // MARK: Parts

    func part(_ name: String) throws -> Directory {
        try withContext("\(root) is not an image store") { try directory.directory(name) }
    }

    func blobDirectory(_ algorithm: Digest.Algorithm) throws -> Directory {
        try part("blobs").directory(algorithm.rawValue)
    }

    /// Opens a blob, whoever has brought it.
    package func openBlob(_ digest: Digest) throws -> OwnedFD {
        // Members may put anything there under any name.
        let file = try blobDirectory(digest.algorithm).open(digest.hex, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        guard try FileStatus(of: file, name: "blob \(digest)").kind == .regular else {
            throw RktError(.invalidData, "blob \(digest) in \(root) is not a regular file")
        }
        return file
    }

    /// Whether a blob is there that this user need not doubt: those who made it could not have made it something else.
    func hasOwnBlob(_ digest: Digest, size: Int64) -> Bool {
        guard let status = try? blobDirectory(digest.algorithm).status(of: digest.hex) else { return false }
        return status.kind == .regular && status.size == size && Self.isTrusted(owner: status.uid, by: geteuid())
    }

    func blobSize(_ digest: Digest) -> Int64? {
        guard let status = try? blobDirectory(digest.algorithm).status(of: digest.hex), status.kind == .regular else {
            return nil
        }
        return status.size
    }

    /// A small blob, hashed again: what is parsed was verified a moment ago.
    package func readBlob(_ digest: Digest) throws -> [UInt8] {
        let bytes = try openBlob(digest).readAll(limit: limits.manifestBytes, name: "blob \(digest)")
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
