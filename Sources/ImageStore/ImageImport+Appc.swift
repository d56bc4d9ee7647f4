internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests
internal import Synchronization

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
    ///   - approve: Gets the image's name and the SHA-512 of the archive as it was read, before anything of it is
    ///     stored, and throws if it must not be.
    /// - Returns: The image.
    /// - Throws: ``RktError`` with `invalidData` for anything that is not a whole appc image; what `approve` throws.
    package func addAppc(
        _ file: borrowing OwnedFD,
        name: String,
        size: Int64,
        progress: ProgressSink?,
        approve: (_ name: ACIdentifier, _ archive: Manifests.Digest) throws -> Void = { _, _ in }
    ) throws -> AppcImage {
        let compression = try ContentStream.compression(of: file.rawValue, name: name)
        if try mayBeKnown(file, size, compression) {
            let unpacker = try TarUnpacker(
                .manifest,
                into: try emptyDirectory("nothing").directory,
                name: name,
                limits: store.limits
            )
            let archive = try readAppc(stream(of: file, size, name, progress), compression, unpacker, name: name)
            try approve(archive.manifest.name, archive.fileDigest)
            if let layer = try storedAppc(archive.digest, name: name) { return try image(archive, layer) }
            let raw = file.rawValue
            try system("reading \(name)") { lseek(raw, 0, SEEK_SET) }
        }
        let blobName = newName("aci")
        let blob = try newFile(blobName)
        let target = try emptyDirectory("layer")
        let unpacker = try TarUnpacker(
            unpacks ? .aci : .manifest,
            into: target.directory,
            name: name,
            limits: store.limits
        )
        let archive = try readAppc(stream(of: file, size, name, progress), compression, unpacker, name: name) { piece in
            try blob.write(piece, name: "the copy of \(name)")
        }
        try approve(archive.manifest.name, archive.fileDigest)
        if unpacks {
            try lease.hold([archive.digest])
            adopt(target.name, as: archive.digest)
        }
        try place(blobName, in: work.directory, as: archive.digest)
        return try image(
            archive,
            ImageRecord.Layer(
                diffID: archive.digest,
                blob: archive.digest,
                mediaType: ImageRecord.appcMediaType,
                size: archive.size
            )
        )
    }

    private func emptyDirectory(_ stem: String) throws -> (name: String, directory: Directory) {
        let name = newName(stem)
        try work.directory.makeDirectory(name, mode: 0o755)
        return (name, try work.directory.directory(name))
    }

    private func stream(
        of file: borrowing OwnedFD,
        _ size: Int64,
        _ name: String,
        _ progress: ProgressSink?
    ) -> ContentStream {
        ContentStream(
            source: file,
            name: name,
            algorithms: (.sha512, [.sha512]),
            limits: store.limits,
            total: size,
            progress: progress
        )
    }

    private func image(_ archive: Archive, _ layer: ImageRecord.Layer) throws -> AppcImage {
        AppcImage(
            manifest: archive.manifest,
            manifestDigest: try add(archive.manifestBytes),
            manifestSize: Int64(archive.manifestBytes.count),
            layer: layer
        )
    }

    /// An archive that was read to its end.
    private struct Archive {
        /// Of the archive as it was read.
        let fileDigest: Manifests.Digest
        /// Of the tar.
        let digest: Manifests.Digest
        let size: Int64
        let manifestBytes: [UInt8]
        let manifest: AppcImageManifest
    }

    /// Reads an archive to its end and takes out the manifest; the root too, where the unpacker makes it.
    private func readAppc(
        _ stream: ContentStream,
        _ compression: Compression,
        _ unpacker: TarUnpacker,
        name: String,
        _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void = { _ in }
    ) throws -> Archive {
        let feed = TarFeed(unpacker)
        let result = try stream.run(compression) { piece in
            try feed.take(piece)
            try sink(piece)
        }
        let report = try feed.finish()
        guard result.endsWithZeros else { throw RktError(.invalidData, "\(name) is cut off: a tar ends with zeros") }
        guard let bytes = report.manifest else { throw RktError(.invalidData, "\(name) has no manifest") }
        guard report.isAppc else { throw RktError(.invalidData, "\(name) has no rootfs") }
        return Archive(
            fileDigest: result.digest,
            digest: result.contentDigests[0],
            size: result.contentSize,
            manifestBytes: bytes,
            manifest: try AppcImageManifest.parse(bytes, name: "the manifest of \(name)")
        )
    }

    // MARK: Once more

    /// Whether an archive may be an image that is in the store, which would be copied and unpacked for nothing: its
    /// digest is known only at its end, its size before.
    private func mayBeKnown(_ file: borrowing OwnedFD, _ size: Int64, _ compression: Compression) throws -> Bool {
        let sizes = Set(known.filter { $0.mediaType == ImageRecord.appcMediaType }.map(\.size))
        switch compression {
        case .none: return sizes.contains(size)
        case .gzip:
            // RFC 1952, 2.3.1: the last bytes are the size modulo 2^32.
            var bytes = [UInt8](repeating: 0, count: 4)
            let raw = file.rawValue
            guard size > 4, pread(raw, &bytes, 4, Int(size) - 4) == 4 else { return false }
            let end = bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) }
            return sizes.contains { UInt32(truncatingIfNeeded: $0) == end }
        default: return false
        }
    }

    /// The layer of an image that is in the store, unpacked if it is to be.
    private func storedAppc(_ digest: Manifests.Digest, name: String) throws -> ImageRecord.Layer? {
        guard let layer = known.first(where: { $0.blob == digest && $0.mediaType == ImageRecord.appcMediaType }) else {
            return nil
        }
        try lease.hold([digest])
        guard store.hasOwnBlob(digest, size: layer.size) else { return nil }
        try unpackAppc(try store.openBlob(digest), layer, name: name)
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
