internal import CLinux
internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests
internal import Synchronization

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
    let lease: StoreLease
    /// The blobs that are in the store already and known to unpack to a diff ID.
    let known: Set<ImageRecord.Layer>
    let state = Mutex(State())

    struct State {
        var files = 0
        /// Whether there are blobs whose directory is not yet known to be on the disk.
        var hasNewBlobs = false
        /// Layers that are unpacked in the work area, by their final names.
        var unpacked: [String: String] = [:]
    }

    init(_ store: ImageStore, unpacks: Bool, progress: ProgressSink?) throws {
        self.store = store
        self.unpacks = unpacks && geteuid() == 0
        self.progress = progress
        lease = try StoreLease(store.directory)
        let area = try store.part("tmp")
        WorkArea.removeLeftovers(in: area)
        work = try WorkArea(in: area)
        let user = geteuid()
        known = Set(try store.list().filter { $0.isTrusted(by: user) }.flatMap(\.layers))
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
        try lease.hold([digest])
        if store.hasOwnBlob(digest, size: Int64(bytes.count)) { return digest }
        let name = newName("document")
        try work.directory.write(name, bytes)
        try place(name, in: work.directory, as: digest)
        return digest
    }

    /// Moves a finished file to its place among the blobs.
    func place(_ name: String, in directory: Directory, as digest: Manifests.Digest) throws {
        let file = try directory.open(name, flags: O_RDONLY | O_NOFOLLOW)
        let raw = file.rawValue
        try lease.hold([digest])
        try system("storing blob \(digest)") { fchmod(raw, 0o644) }
        store.crashPoint("syncing blob")
        try file.synchronize(name: "blob \(digest)")
        store.crashPoint("renaming blob")
        let blobs = try store.blobDirectory(digest.algorithm)
        try store.makeWay(for: digest.hex, in: blobs)
        state.withLock { $0.hasNewBlobs = true }
        do {
            try directory.rename(name, to: digest.hex, in: blobs)
        } catch let error as RktError where error.code == .permissionDenied && store.blobSize(digest) != nil {
            // Somebody else's, who has made it before: it is as good as this one, or its readers will find out.
        }
        store.crashPoint("renamed blob")
    }

    /// Copies a blob to where nobody else can change it.
    ///
    /// - Parameters:
    ///   - blob: The blob, whoever has brought it.
    ///   - name: What it is, for errors.
    /// - Returns: The copy, opened at its start.
    /// - Throws: ``RktError`` with `digestMismatch` when it is not what its name says.
    package func privateCopy(of blob: Manifests.Digest, name: String) throws -> OwnedFD {
        let copyName = newName("copy")
        let source = try store.openBlob(blob)
        let stream = ContentStream(
            source: source,
            copy: try newFile(copyName),
            name: name,
            algorithms: (blob.algorithm, []),
            limits: store.limits
        )
        let result = try stream.run(Compression.none)
        withExtendedLifetime(source.rawValue) {}
        guard result.digest == blob else {
            throw RktError(.digestMismatch, "\(name): blob \(blob) is not what its name says, but \(result.digest)")
        }
        return try work.directory.open(copyName)
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
            promise.size == nil || promise.size == match.size, (try? lease.hold([digest, match.diffID])) != nil,
            store.hasOwnBlob(digest, size: match.size)
        else { return nil }
        var layer = match
        layer.mediaType = promise.mediaType ?? match.mediaType
        return layer
    }

    /// Reads a layer once, unless another one who is at it brings it: then waits for that.
    ///
    /// - Parameters:
    ///   - promise: What is promised about it.
    ///   - origin: The registry that it comes from; nil when it is at hand.
    ///   - waiting: Called before waiting for another.
    ///   - source: Where to read it from, if it is to be read.
    /// - Returns: The layer's record.
    /// - Throws: ``RktError`` as ``addLayer(_:_:)``, and what `source` throws.
    package func addLayer(
        _ promise: Promise,
        origin: String?,
        waiting: () -> Void,
        from source: () throws -> BlobSource
    ) throws -> ImageRecord.Layer {
        if let stored = stored(promise) { return stored }
        guard let digest = promise.digest, let origin else { return try addLayer(try source(), promise) }
        // While it is held, this thread waits for no other claim: so all of them end.
        let claim = try store.claim(.layer, digest, from: origin, waiting: waiting)
        defer { withExtendedLifetime(claim) {} }
        if let layer = try addLocal(digest, promise) { return layer }
        return try addLayer(try source(), promise)
    }

    /// Adds a layer whose blob is there, though on no record that counts: somebody else has brought it, or is about to put
    /// it on record. It is read and checked as if it came from elsewhere. Nil when it must come from there.
    private func addLocal(_ digest: Manifests.Digest, _ promise: Promise) throws -> ImageRecord.Layer? {
        try lease.hold([digest])
        guard let size = store.blobSize(digest), promise.size == nil || promise.size == size,
            let file = try? store.openBlob(digest)
        else { return nil }
        do {
            let isOwn = store.hasOwnBlob(digest, size: size)
            state.withLock { $0.hasNewBlobs = true }
            return try addLayer(isOwn ? BlobSource(stored: file) : BlobSource(file), promise)
        } catch let error as RktError where [.digestMismatch, .invalidData, .limitExceeded].contains(error.code) {
            // Damaged: what comes instead replaces it.
            return nil
        }
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
        let copyName = source.owned == nil && !source.isStored ? newName("blob") : nil
        let copy = try copyName.flatMap { try newFile($0) }
        let compression = try ContentStream.compression(of: source.file.rawValue, name: name)
        let stream = ContentStream(
            source: source.file,
            copy: copy,
            name: name,
            algorithms: (promise.digest?.algorithm ?? .sha256, [promise.diffID.algorithm]),
            limits: store.limits,
            total: promise.size,
            expected: promise.digest,
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
            throw RktError.wrongDigest(of: promise.name, result.digest, not: digest)
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
        if unpacks { try lease.hold([diffID]) }
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

    /// Takes a finished directory of the work area for a layer; it goes to its place with the others.
    func adopt(_ name: String, as digest: Manifests.Digest) { state.withLock { $0.unpacked[digest.hex] = name } }

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

    /// What another user has on record of an image counts for this one only if it has the same parts.
    private static func check(_ other: ImageRecord, isAs record: ImageRecord) throws -> ImageRecord {
        guard other.manifest == record.manifest, other.config == record.config,
            other.layers.map(\.diffID) == record.layers.map(\.diffID),
            other.layers.map(\.blob) == record.layers.map(\.blob)
        else {
            throw RktError(
                .permissionDenied,
                "image \(record.id) has a wrong record, which user \(other.owner ?? 0) has written: have root remove it"
            )
        }
        return other
    }

    /// Refuses a name that could forge lines and fields where names are listed: an image says its name itself.
    private static func check(name: String) throws {
        guard ImageRecord.isPlain(name) else {
            let start = String(name.prefix(64)).debugDescription
            throw RktError(
                .invalidData,
                "image name \(start) has control characters or more than \(ImageRecord.nameLimit) bytes"
            )
        }
    }

    /// Lists the image, now that all of it is stored.
    ///
    /// - Parameter record: The image; names of an earlier import stay.
    /// - Returns: The record as written.
    /// - Throws: ``RktError`` when a name of it is none, or it cannot be written; then the image is not listed.
    package func commit(_ record: ImageRecord) throws -> ImageRecord {
        var record = record
        try record.names.forEach(Self.check(name:))
        try lease.hold(record.blobs)
        for blob in record.blobs where store.blobSize(blob) == nil {
            throw RktError(.failed, "image \(record.id): blob \(blob) is not in the store")
        }
        let hasNewBlobs = state.withLock { $0.hasNewBlobs }
        for algorithm in hasNewBlobs ? Set(record.blobs.map(\.algorithm)) : [] {
            try store.blobDirectory(algorithm).synchronize()
        }
        try settleLayers()
        let user = geteuid()
        let known = try store.list()
        if let earlier = known.first(where: { $0.id == record.id }) {
            if earlier.isTrusted(by: user) { record.merge(earlier) }
            if !hasNewBlobs, known.last?.id == record.id, earlier.owner == user, record.says(what: earlier) {
                // Syncing costs more than all the rest.
                store.markUsed(earlier)
                return earlier
            }
            // Nobody but root can replace what another user wrote; what it says is the same.
            if user != 0, earlier.owner != user { return try Self.check(earlier, isAs: record) }
        }
        record.importedAt = ImageStore.now()
        store.crashPoint("writing record")
        try store.write(record)
        store.crashPoint("wrote record")
        record.owner = user
        try moveNames(to: record, from: known)
        return record
    }

    /// What a reference leads to now, it leads to nowhere else. Until then the newer import counts.
    private func moveNames(to record: ImageRecord, from known: [ImageRecord]) throws {
        let moved = Set((record.sources ?? []).map(\.reference))
        let user = geteuid()
        for listed in known
        where listed.id != record.id && listed.isTrusted(by: user) && (user == 0 || listed.owner == user) {
            guard !moved.isDisjoint(with: (listed.sources ?? []).map(\.reference)) else { continue }
            // It may have been removed since. As long as its blobs are held, it is whole if it is listed; who removes it just
            // then finds it listed once more.
            try lease.hold(listed.blobs)
            guard var other = try store.record("\(listed.id).json", in: try store.part("images")),
                other.owner == listed.owner
            else { continue }
            other.sources?.removeAll { moved.contains($0.reference) }
            other.names.removeAll { moved.contains($0) }
            store.crashPoint("writing record without its name")
            try store.write(other)
        }
    }
}

extension ImageRecord {
    /// Takes over what an earlier import of the same image knew.
    fileprivate mutating func merge(_ earlier: ImageRecord) {
        names += earlier.names.filter { !names.contains($0) }
        let own = sources ?? []
        sources = own + (earlier.sources ?? []).filter { source in !own.contains { $0.reference == source.reference } }
        // What a key has signed says more than that somebody named its digest, and that more than nothing.
        if earlier.verification.strength > verification.strength { verification = earlier.verification }
    }

    /// Whether nothing but the time of the import has changed.
    fileprivate func says(what earlier: ImageRecord) -> Bool {
        var other = earlier
        other.importedAt = importedAt
        other.owner = owner
        // When it was verified is no news.
        let (then, now) = (earlier.verification, verification)
        if (then.isVerified, then.detail) == (now.isVerified, now.detail), then.signers == now.signers {
            other.verification = now
        }
        return self == other
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

extension ImageRecord.Verification {
    fileprivate var strength: Int { isVerified ? (signers ?? []).isEmpty ? 1 : 2 : 0 }
}
