internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests

extension ImageImport {
    /// An appc image as it was stored.
    package struct AppcImage: Sendable {
        /// Its manifest, validated.
        package let manifest: AppcImageManifest
        /// The blob of its manifest.
        package let manifestDigest: Manifests.Digest
        /// The manifest's size in bytes.
        package let manifestSize: Int64
        /// Its only layer: the uncompressed tar.
        package let layer: ImageRecord.Layer
    }

    /// Reads an appc image: stores the uncompressed tar, whose digest is the image's ID, and takes out the manifest.
    ///
    /// - Parameters:
    ///   - file: The archive, compressed or not, read from its start.
    ///   - name: What it is, for errors and progress.
    ///   - size: Its size, for progress.
    ///   - progress: Hears how far it is.
    /// - Returns: The image.
    /// - Throws: ``RktError`` with `invalidData` for anything that is not a whole appc image.
    package func addAppc(
        _ file: borrowing OwnedFD,
        name: String,
        size: Int64,
        progress: ProgressSink?
    ) throws -> AppcImage {
        let blobName = newName("aci")
        let blob = try work.directory.open(blobName, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        let placeName = newName("manifest")
        try work.directory.makeDirectory(placeName, mode: 0o700)
        let place = try work.directory.directory(placeName)
        let stream = ContentStream(
            source: file,
            name: name,
            algorithms: (.sha512, [.sha512]),
            limits: store.limits,
            total: size,
            progress: progress
        )
        let unpacker = try TarUnpacker(.manifest, into: place, name: name, limits: store.limits)
        let feed = TarFeed(unpacker)
        let result = try stream.run { piece in
            try blob.writeAll(piece, name: "the copy of \(name)")
            try feed.take(piece)
        }
        let report = try feed.finish()
        guard result.endsWithZeros else { throw RktError(.invalidData, "\(name) is cut off: a tar ends with zeros") }
        guard place.contains("manifest") else { throw RktError(.invalidData, "\(name) has no manifest") }
        guard report.isAppc else { throw RktError(.invalidData, "\(name) has no rootfs") }
        let bytes = try place.read("manifest", limit: store.limits.manifestBytes)
        let manifest = try AppcImageManifest.parse(bytes, name: "the manifest of \(name)")

        let digest = result.contentDigests[0]
        let layer = try addAppcLayer(blobName, digest, size: result.contentSize, name: name)
        return AppcImage(
            manifest: manifest,
            manifestDigest: try add(bytes),
            manifestSize: Int64(bytes.count),
            layer: layer
        )
    }

    private func addAppcLayer(
        _ blobName: String,
        _ digest: Manifests.Digest,
        size: Int64,
        name: String
    ) throws -> ImageRecord.Layer {
        let layer = ImageRecord.Layer(diffID: digest, blob: digest, mediaType: ImageRecord.appcMediaType, size: size)
        // The digest is known only now, and an image that is unpacked already is not unpacked again.
        try unpackAppc(try work.directory.open(blobName), layer, name: name)
        try place(blobName, in: work.directory, as: digest)
        return layer
    }

    /// Unpacks the tar of an appc image unless that is done or not wanted.
    private func unpackAppc(_ file: borrowing OwnedFD, _ layer: ImageRecord.Layer, name: String) throws {
        guard unpacks, !(try store.part("layers").contains(layer.diffID.hex)) else { return }
        let stream = ContentStream(
            source: file,
            name: name,
            algorithms: (.sha512, []),
            limits: store.limits,
            total: layer.size
        )
        _ = try unpackWhile(
            .aci,
            layer.diffID,
            name: name,
            finishing: { result in
                guard result.digest == layer.blob else {
                    throw RktError(.digestMismatch, "\(name) changed while it was read")
                }
            },
            { try stream.run(Compression.none, sink: $0) }
        )
    }
}
