internal import Diagnostics
public import LinuxOS
internal import Manifests

/// The forms that an image can be exported in.
public enum ImageFormat: String, Sendable, CaseIterable {
    /// An appc image: an uncompressed tar.
    case aci
    /// An OCI image layout in a tar.
    case oci
    /// An OCI image layout in a directory.
    case ociDirectory = "oci-dir"
}

extension ImageStore {
    /// Writes an image to a stream. What is stored in that form is written as it is stored, and hashed again on its
    /// way; else the image is converted, which needs root.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - format: ``ImageFormat/aci`` or ``ImageFormat/oci``.
    ///   - sink: Takes the bytes.
    /// - Throws: ``RktError`` with `digestMismatch` when the image is damaged, and what `sink` throws: then what was
    ///   written is of no use.
    public func export(
        _ record: ImageRecord,
        as format: ImageFormat,
        to sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        try withContext("exporting image \(record.id)") {
            guard format == .aci else { return try layout(of: record).write(to: sink) }
            guard record.kind == .appc else { return try exportConverted(record, to: sink) }
            for layer in record.layers { try copyBlob(layer.blob, size: layer.size, to: sink) }
        }
    }

    /// Writes an image as an OCI layout into a directory.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - directory: An empty directory.
    /// - Throws: ``RktError`` as ``export(_:as:to:)``.
    public func export(_ record: ImageRecord, to directory: Directory) throws {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        try withContext("exporting image \(record.id)") { try layout(of: record).write(to: directory) }
    }

    /// Hands on a blob, and checks that it is what it is called.
    func copyBlob(_ digest: Digest, size: Int64?, to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        let name = "blob \(digest)"
        let file = try openBlob(digest)
        let stream = ContentStream(source: file, name: name, algorithms: (digest.algorithm, []), limits: limits)
        let result = try stream.run(Compression.none, sink: sink)
        guard result.digest == digest, size == nil || size == result.size else {
            throw RktError(.digestMismatch, "\(name) in \(root) is damaged: try 'rkt image verify --repair'")
        }
    }

    // MARK: Layouts

    private func layout(of record: ImageRecord) throws -> ImageLayout {
        // A name with a digest says nothing that the image does not.
        let name = record.names.first { !$0.contains("@") }
        guard let config = record.config else { return try convertedLayout(of: record, name: name) }
        let manifest = try readBlob(record.manifest)
        guard case .manifest(let document) = try OCI.Document(manifest, mediaType: nil, name: "its manifest") else {
            throw RktError(.invalidData, "its manifest is an index")
        }
        var layout = ImageLayout(
            manifest: OCI.Descriptor(
                mediaType: document.mediaType ?? OCI.MediaType.manifest,
                digest: record.manifest,
                size: Int64(manifest.count)
            ),
            name: name
        )
        layout.add(record.manifest, manifest)
        layout.add(config, try readBlob(config))
        for layer in record.layers {
            layout.add(layer.blob, size: layer.size) { [self] sink in
                try copyBlob(layer.blob, size: layer.size, to: sink)
            }
        }
        return layout
    }

    /// An appc image with what it depends on, as an OCI image of one layer.
    private func convertedLayout(of record: ImageRecord, name: String?) throws -> ImageLayout {
        let area = try workArea()
        let copy = BlobCopy(try area.directory.open("layer", flags: Directory.lockFileFlags, mode: 0o600))
        let hash = RunningHash(.sha256)
        try withRoot(of: try layers(of: record)) { root in
            let tar = TarStream { piece in
                hash.update(piece)
                try copy.file.writeAll(piece, name: "the layer")
            }
            try root.walk { try tar.add($0, prefix: "") }
            try tar.finish()
        }
        let (diffID, size) = (try hash.finish(), hash.size)
        let config = try OCI.configuration(try self.config(of: record), diffID: diffID, platform: .host)
        let configDigest = try ContentHash.digest(.sha256, of: config)
        let manifest = try OCI.Manifest(
            config: OCI.Descriptor(mediaType: OCI.MediaType.config, digest: configDigest, size: Int64(config.count)),
            layers: [OCI.Descriptor(mediaType: OCI.MediaType.layer, digest: diffID, size: size)]
        ).encoded()
        let digest = try ContentHash.digest(.sha256, of: manifest)
        var layout = ImageLayout(
            manifest: OCI.Descriptor(
                mediaType: OCI.MediaType.manifest,
                digest: digest,
                size: Int64(manifest.count)
            ),
            name: name
        )
        layout.add(digest, manifest)
        layout.add(configDigest, config)
        let limits = self.limits
        layout.add(diffID, size: size) { sink in
            // The area has to last until its file was read.
            let file = try area.directory.open("layer")
            let stream = ContentStream(source: file, name: "the layer", algorithms: (.sha256, []), limits: limits)
            _ = try stream.run(Compression.none, sink: sink)
        }
        return layout
    }

    // MARK: Appc images

    /// An OCI image as an appc image.
    private func exportConverted(
        _ record: ImageRecord,
        to sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let manifest = try AppcConversion(record, try config(of: record)).manifest().encoded()
        try withRoot(of: try layers(of: record)) { root in
            let tar = TarStream(sink)
            try tar.addFile("manifest", manifest)
            try root.walk { try tar.add($0, prefix: "rootfs/") }
            try tar.finish()
        }
    }
}
