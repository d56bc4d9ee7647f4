internal import CLinux
internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests
internal import Synchronization

/// The content of a blob that is to be imported.
package final class BlobSource: Sendable {
    /// The content.
    package let file: OwnedFD
    /// Where it lies, when it may be moved from there instead of copied: nobody else can write to it.
    let owned: (directory: Directory, name: String)?
    /// Throws what whoever writes the content has failed with, if it has; asked when all that came has been read.
    let check: @Sendable () throws -> Void

    /// A file that others own, or a stream (``LocalStream``).
    package init(_ file: consuming OwnedFD, check: @escaping @Sendable () throws -> Void = {}) {
        self.file = file
        self.check = check
        owned = nil
    }

    /// A file in a work area, with one name.
    package init(moving name: String, in directory: Directory) throws {
        file = try directory.open(name, flags: O_RDONLY | O_NOFOLLOW)
        owned = (directory, name)
        check = {}
    }
}

/// A file that a blob is copied to.
package final class BlobCopy: Sendable {
    let file: OwnedFD

    init(_ file: consuming OwnedFD) {
        self.file = file
    }
}

/// One image on its way into the store. Nothing of it is listed until ``commit(_:)``; given up, it leaves at most blobs
/// that the next garbage collection removes.
package final class ImageImport: Sendable {
    /// The store.
    package let store: ImageStore
    /// A place for parts of the image, on the store's file system.
    package let work: WorkArea
    /// Whether layers are unpacked while they are read; only root can.
    package let unpacks: Bool
    private let progress: ProgressSink?
    private let lease: StoreLease
    /// The blobs that are in the store already and known to unpack to a diff ID.
    private let known: Set<ImageRecord.Layer>
    private let state = Mutex(State())

    private struct State {
        var files = 0
        /// Layers that are unpacked in the work area, by their final names.
        var unpacked: [String: String] = [:]
    }

    init(_ store: ImageStore, unpacks: Bool, progress: ProgressSink?) throws {
        self.store = store
        self.unpacks = unpacks && geteuid() == 0
        self.progress = progress
        lease = try store.lease()
        let area = try store.part("tmp")
        WorkArea.removeLeftovers(in: area)
        work = try WorkArea(in: area)
        known = Set(try store.list().flatMap(\.layers))
    }

    // MARK: Blobs

    /// A name in the work area that is not in use.
    package func newName(_ stem: String) -> String {
        state.withLock { state in
            state.files += 1
            return "\(stem)-\(state.files)"
        }
    }

    /// Stores a document that was read into memory.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - algorithm: The hash function of its name.
    /// - Returns: Its digest.
    /// - Throws: ``RktError`` when it cannot be stored.
    package func add(_ bytes: [UInt8], _ algorithm: Manifests.Digest.Algorithm = .sha256) throws -> Manifests.Digest {
        let digest = try ContentHash.digest(algorithm, of: bytes)
        if store.blobSize(digest) == Int64(bytes.count) { return digest }
        let name = newName("document")
        try work.directory.write(name, bytes)
        try place(name, in: work.directory, as: digest)
        return digest
    }

    /// Moves a finished file to its place among the blobs.
    func place(_ name: String, in directory: Directory, as digest: Manifests.Digest) throws {
        let file = try directory.open(name, flags: O_RDONLY | O_NOFOLLOW)
        let raw = file.rawValue
        try system("storing blob \(digest)") { fchmod(raw, 0o644) }
        store.crashPoint("syncing blob")
        try file.synchronize(name: "blob \(digest)")
        store.crashPoint("renaming blob")
        try directory.rename(name, to: digest.hex, in: try store.blobDirectory(digest.algorithm))
        store.crashPoint("renamed blob")
    }

    // MARK: Layers

    /// What is promised about a layer.
    package struct Promise: Sendable {
        /// The digest of the blob, nil when nobody said.
        package var digest: Manifests.Digest?
        /// The size of the blob in bytes, nil when nobody said.
        package var size: Int64?
        /// The digest of the uncompressed tar.
        package var diffID: Manifests.Digest
        /// The blob's media type; nil to go by its compression.
        package var mediaType: String?
        /// What it is, for errors and progress.
        package var name: String

        /// Makes a promise.
        package init(
            digest: Manifests.Digest?,
            size: Int64?,
            diffID: Manifests.Digest,
            mediaType: String?,
            name: String
        ) {
            self.digest = digest
            self.size = size
            self.diffID = diffID
            self.mediaType = mediaType
            self.name = name
        }
    }

    /// Whether the store has a layer already, so that it need not be read again.
    ///
    /// - Parameter promise: What is promised about it.
    /// - Returns: Its record, nil when it must be read.
    package func stored(_ promise: Promise) -> ImageRecord.Layer? {
        guard let digest = promise.digest,
            let match = known.first(where: { $0.blob == digest && $0.diffID == promise.diffID }),
            promise.size == nil || promise.size == match.size, store.blobSize(digest) == match.size
        else { return nil }
        var layer = match
        layer.mediaType = promise.mediaType ?? match.mediaType
        return layer
    }

    /// Reads a layer once: stores it, checks both digests, and unpacks it.
    ///
    /// - Parameters:
    ///   - source: The layer's content.
    ///   - promise: What is promised about it.
    /// - Returns: The layer's record.
    /// - Throws: ``RktError`` with `digestMismatch` when it is not what was promised, or as ``TarUnpacker``.
    package func addLayer(_ source: BlobSource, _ promise: Promise) throws -> ImageRecord.Layer {
        if let stored = stored(promise) { return stored }
        let name = promise.name
        let copyName = source.owned == nil ? newName("blob") : nil
        let copy = try copyName.flatMap { try newFile($0) }
        let compression = try ContentStream.compression(of: source.file.rawValue, name: name)
        let stream = ContentStream(
            source: source.file,
            copy: copy,
            name: name,
            algorithms: (promise.digest?.algorithm ?? .sha256, [promise.diffID.algorithm]),
            limits: store.limits,
            total: promise.size,
            progress: progress
        )
        let result: ContentStream.Result
        do {
            result = try unpackWhile(
                .layer,
                promise.diffID,
                name: name,
                finishing: { result in
                    try source.check()
                    try ImageImport.check(result, promise)
                }
            ) { sink in
                try stream.run(compression, sink: sink)
            }
        } catch {
            // What is cut off is damaged too, but that is not why.
            try source.check()
            throw error
        }
        if let copyName {
            try place(copyName, in: work.directory, as: result.digest)
        } else if let owned = source.owned {
            try place(owned.name, in: owned.directory, as: result.digest)
        }
        return ImageRecord.Layer(
            diffID: promise.diffID,
            blob: result.digest,
            mediaType: promise.mediaType ?? ImageImport.mediaType(compression),
            size: result.size
        )
    }

    func newFile(_ name: String) throws -> BlobCopy {
        BlobCopy(try work.directory.open(name, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
    }

    static func check(_ result: ContentStream.Result, _ promise: Promise) throws {
        if let size = promise.size, size != result.size {
            throw RktError(
                .digestMismatch,
                "\(promise.name) has \(result.size) bytes, not \(size) as its manifest says"
            )
        }
        if let digest = promise.digest, digest != result.digest {
            throw RktError(.digestMismatch, "\(promise.name) has the digest \(result.digest), not \(digest)")
        }
        guard result.contentDigests == [promise.diffID] else {
            let found = result.contentDigests.map(\.description).joined()
            throw RktError(
                .digestMismatch,
                "\(promise.name) unpacks to \(found), not to \(promise.diffID) as the image's configuration says"
            )
        }
    }

    private static func mediaType(_ compression: Compression) -> String {
        switch compression {
        case .gzip: "\(OCI.MediaType.layer)+gzip"
        case .zstd: "\(OCI.MediaType.layer)+zstd"
        default: OCI.MediaType.layer
        }
    }

    /// Makes a pass over a stream and unpacks what comes out of it, if that is asked for and not done already.
    ///
    /// What is wrong with the stream's digests counts more than what is wrong with the tar in it.
    func unpackWhile(
        _ mode: TarUnpacker.Mode,
        _ diffID: Manifests.Digest,
        name: String,
        finishing check: (ContentStream.Result) throws -> Void,
        _ pass: (((UnsafeRawBufferPointer) throws -> Void)?) throws -> ContentStream.Result
    ) throws -> ContentStream.Result {
        guard unpacks, !(try store.part("layers").contains(diffID.hex)) else {
            let result = try pass(nil)
            try check(result)
            return result
        }
        let target = newName("layer")
        try work.directory.makeDirectory(target, mode: 0o755)
        let unpacker = try TarUnpacker(
            mode,
            into: try work.directory.directory(target),
            name: name,
            limits: store.limits
        )
        let feed = TarFeed(unpacker)
        let result = try pass { try feed.take($0) }
        try check(result)
        try feed.finish()
        state.withLock { $0.unpacked[diffID.hex] = target }
        return result
    }

    // MARK: The end

    /// Puts unpacked layers into their places: synced, whole, and the first one to come stays.
    func settleLayers() throws {
        let unpacked = state.withLock { $0.unpacked }
        guard !unpacked.isEmpty else { return }
        let layers = try store.part("layers")
        store.crashPoint("syncing layers")
        let raw = layers.descriptor.rawValue
        try system("syncing \(layers.path)") { rkt_syncfs(raw) }
        for (hex, name) in unpacked.sorted(by: { $0.key < $1.key }) {
            store.crashPoint("renaming layer")
            do {
                try work.directory.renameExclusively(name, to: hex, in: layers)
            } catch let error as RktError where error.code == .alreadyExists {}
        }
        store.crashPoint("renamed layers")
        try layers.synchronize()
        state.withLock { $0.unpacked = [:] }
    }

    /// Refuses a name that could forge lines and fields where names are listed: an image says its name itself.
    private static func check(name: String) throws {
        guard name.utf8.count <= nameLimit, name.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            let start = String(name.prefix(64)).debugDescription
            throw RktError(.invalidData, "image name \(start) has control characters or more than \(nameLimit) bytes")
        }
    }

    /// The most bytes of an image's name: more than any registry allows.
    private static let nameLimit = 1024

    /// Lists the image, now that all of it is stored.
    ///
    /// - Parameter record: The image; names of an earlier import stay.
    /// - Returns: The record as written.
    /// - Throws: ``RktError`` when a name of it is none, or it cannot be written; then the image is not listed.
    package func commit(_ record: ImageRecord) throws -> ImageRecord {
        var record = record
        try record.names.forEach(Self.check(name:))
        for blob in record.blobs where store.blobSize(blob) == nil {
            throw RktError(.failed, "image \(record.id): blob \(blob) is not in the store")
        }
        for algorithm in Set(record.blobs.map(\.algorithm)) {
            try store.blobDirectory(algorithm).synchronize()
        }
        try settleLayers()
        let known = try store.list()
        if let earlier = known.first(where: { $0.id == record.id }) { record.merge(earlier) }
        record.importedAt = ImageStore.now()
        store.crashPoint("writing record")
        try store.write(record)
        store.crashPoint("wrote record")
        // What a reference leads to now, it leads to nowhere else. Until then the newer import counts.
        let moved = Set((record.sources ?? []).map(\.reference))
        for var other in known
        where other.id != record.id && !moved.isDisjoint(with: (other.sources ?? []).map(\.reference)) {
            other.sources?.removeAll { moved.contains($0.reference) }
            other.names.removeAll { moved.contains($0) }
            try store.write(other)
        }
        return record
    }
}

extension ImageRecord {
    /// Takes over what an earlier import of the same image knew.
    fileprivate mutating func merge(_ earlier: ImageRecord) {
        names += earlier.names.filter { !names.contains($0) }
        let own = sources ?? []
        sources = own + (earlier.sources ?? []).filter { source in !own.contains { $0.reference == source.reference } }
        if earlier.verification.isVerified, !verification.isVerified { verification = earlier.verification }
    }
}

extension ImageStore {
    /// Starts the import of an image.
    ///
    /// - Parameters:
    ///   - unpack: Whether to unpack layers while they are read; without root they are not.
    ///   - progress: Hears how far it is.
    /// - Returns: The import.
    /// - Throws: ``RktError`` when the store cannot be written to.
    package func beginImport(unpack: Bool, progress: ProgressSink?) throws -> ImageImport {
        try withContext("importing into \(root)") { try ImageImport(self, unpacks: unpack, progress: progress) }
    }
}
