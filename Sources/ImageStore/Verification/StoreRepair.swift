internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests

extension ImageStore {
    /// Unpacks a layer's blob into the work area, and checks both its digests.
    ///
    /// - Returns: The name of the new directory.
    func unpackAgain(_ layer: ImageRecord.Layer, _ area: WorkArea, progress: ProgressSink?) throws -> String {
        let title = "blob \(layer.blob)"
        let isAppc = layer.mediaType == ImageRecord.appcMediaType
        let target = area.newName("again")
        let file = try openBlob(layer.blob)
        try area.directory.makeDirectory(target, mode: 0o755)
        let unpacker = try TarUnpacker(
            isAppc ? .aci : .layer,
            into: try area.directory.directory(target),
            name: title,
            limits: limits
        )
        let stream = ContentStream(
            source: file,
            name: title,
            algorithms: (layer.blob.algorithm, [layer.diffID.algorithm]),
            limits: limits,
            total: layer.size,
            expected: layer.blob,
            progress: progress
        )
        let feed = TarFeed(unpacker)
        let result = try stream.run(isAppc ? Compression.none : nil) { try feed.take($0) }
        try ImageImport.check(
            result,
            ImageImport.Promise(
                digest: layer.blob,
                size: layer.size,
                diffID: layer.diffID,
                mediaType: layer.mediaType,
                name: title
            )
        )
        try feed.finish()
        return target
    }

    /// Puts a good blob where a damaged one is, or none; it is there whole or not at all.
    ///
    /// - Parameters:
    ///   - digest: What it is called.
    ///   - content: Hands on its content, which need not be right.
    /// - Throws: ``RktError`` with `digestMismatch` when the content is another one, and what `content` throws: then
    ///   the old blob is still there.
    package func replaceBlob(
        _ digest: Digest,
        _ content: (_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        let area = try workArea()
        let name = area.newName("blob")
        let copy = BlobCopy(try area.directory.open(name, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
        let hash = RunningHash(digest.algorithm)
        let limit = limits.blobBytes
        try content { piece in
            hash.update(piece)
            guard hash.size <= limit else {
                throw RktError(.limitExceeded, "blob \(digest) is larger than \(limit) bytes")
            }
            try copy.file.writeAll(piece, name: "blob \(digest)")
        }
        let found = try hash.finish()
        guard found == digest else { throw RktError(.digestMismatch, "what came has the digest \(found)") }
        try copy.file.synchronize(name: "blob \(digest)")
        let blobs = try blobDirectory(digest.algorithm)
        crashPoint("replacing blob")
        try area.directory.rename(name, to: digest.hex, in: blobs)
        try blobs.synchronize()
    }

    /// Puts a layer unpacked afresh from its blob where a damaged one is. The two change places at once; nobody may use
    /// the old one, which is removed.
    ///
    /// - Parameters:
    ///   - digest: What the layer's directory is called.
    ///   - record: An image that uses it.
    /// - Throws: ``RktError`` with `digestMismatch` when the blob is damaged too: then the old one is still there.
    public func replaceLayer(_ digest: Digest, of record: ImageRecord) throws {
        try Self.requireTrusted(record)
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        let area = try workArea()
        let name: String
        if let layer = record.layers.first(where: { $0.diffID == digest }) {
            name = try unpackAgain(layer, area, progress: nil)
        } else if let use = try layerUses(of: record).first(where: { $0.directoryName == digest }) {
            name = try copyLimited(use, area)
        } else {
            throw RktError(.notFound, "image \(record.id) has no layer \(digest)")
        }
        let layers = try part("layers")
        try layers.synchronizeFileSystem()
        crashPoint("exchanging layer")
        if layers.contains(digest.hex) {
            try layers.exchange(digest.hex, with: name, in: area.directory)
        } else {
            try area.directory.renameExclusively(name, to: digest.hex, in: layers)
        }
        crashPoint("exchanged layer")
        try layers.synchronize()
    }
}

/// A digest and a size of what goes by.
final class RunningHash {
    private var hash: ContentHash
    private(set) var size: Int64 = 0

    init(_ algorithm: Digest.Algorithm) {
        hash = ContentHash(algorithm)
    }

    func update(_ piece: UnsafeRawBufferPointer) {
        hash.update(piece)
        size += Int64(piece.count)
    }

    func finish() throws -> Digest { try hash.finish() }
}
