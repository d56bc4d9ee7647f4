internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

extension ImageStore {
    /// The unpacked layers of an image, and of the images that an appc image depends on; unpacks what is missing.
    ///
    /// Hold a ``lease()`` from before the call until the pod that uses them is on record. Of an image that another user
    /// than root has brought, root unpacks nothing: it must be imported again first.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - progress: Hears how far it is.
    /// - Returns: The layers, the lowest first, each once.
    /// - Throws: ``RktError`` with `permissionDenied` when something must be unpacked and the caller is not root,
    ///   `digestMismatch` when a blob is damaged, `notFound` when a dependency is missing.
    public func layers(of record: ImageRecord, progress: ProgressSink? = nil) throws -> [LayerDirectory] {
        let uses = try layerUses(of: record)
        let directory = try unpacked(uses.map(\.layer), of: record, progress: progress)
        try limit(uses.filter { !directory.contains($0.directoryName.hex) }, of: record)
        markUsed(record)
        return uses.map { LayerDirectory(diffID: $0.directoryName, path: directory.path(of: $0.directoryName.hex)) }
    }

    /// The unpacked layers of an image alone, as they are: of an appc image neither what it depends on nor less than it
    /// has.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - progress: Hears how far unpacking is.
    /// - Returns: The layers, lowest first.
    /// - Throws: ``RktError`` as ``layers(of:progress:)``.
    public func ownLayers(of record: ImageRecord, progress: ProgressSink? = nil) throws -> [LayerDirectory] {
        try Self.requireTrusted(record)
        try Self.requireTrusted(record)
        let directory = try unpacked(record.layers, of: record, progress: progress)
        var seen: Set<Digest> = []
        return record.layers.map(\.diffID).filter { seen.insert($0).inserted }
            .map { LayerDirectory(diffID: $0, path: directory.path(of: $0.hex)) }
    }

    /// The directory of all layers, with these in it.
    private func unpacked(
        _ layers: [ImageRecord.Layer],
        of record: ImageRecord,
        progress: ProgressSink?
    ) throws -> Directory {
        let directory = try part("layers")
        let missing = layers.filter { !directory.contains($0.diffID.hex) }
        if !missing.isEmpty { try unpack(missing, of: record, progress: progress) }
        return directory
    }

    private func unpack(_ layers: [ImageRecord.Layer], of record: ImageRecord, progress: ProgressSink?) throws {
        guard geteuid() == 0 else {
            throw RktError(
                .permissionDenied,
                "unpacking image \(record.id) needs root: its files have owners and modes"
            )
        }
        let work = try beginImport(unpack: true, progress: progress)
        let limits = self.limits
        // A layer that an image has twice is unpacked once.
        var seen: Set<Digest> = []
        _ = try concurrently(layers.filter { seen.insert($0.diffID).inserted }) { layer in
            let name = "image \(record.id), layer \(layer.blob)"
            let file = try self.openBlob(layer.blob)
            let stream = ContentStream(
                source: file,
                name: name,
                algorithms: (layer.blob.algorithm, [layer.diffID.algorithm]),
                limits: limits,
                total: layer.size,
                expected: layer.blob,
                progress: progress
            )
            let isAppc = layer.mediaType == ImageRecord.appcMediaType
            let promise = ImageImport.Promise(
                digest: layer.blob,
                size: layer.size,
                diffID: layer.diffID,
                mediaType: layer.mediaType,
                name: name
            )
            _ = try work.unpackWhile(
                isAppc ? .aci : .layer,
                layer.diffID,
                name: name,
                finishing: { try ImageImport.check($0, promise) },
                { try stream.run(isAppc ? Compression.none : nil, sink: $0) }
            )
        }
        try work.settleLayers()
    }

    // MARK: Dependencies

    /// The layers that make an image's root, lowest first: of an appc image those of its dependencies too, each limited
    /// to the paths that the images above it let through.
    func layerUses(of record: ImageRecord) throws -> [LayerUse] {
        try Self.requireTrusted(record)
        guard record.kind == .appc else {
            var seen: Set<ImageRecord.Layer> = []
            return record.layers.filter { seen.insert($0).inserted }.map { LayerUse(layer: $0, whitelists: []) }
        }
        var uses: [LayerUse] = []
        var path: [String] = []
        func visit(_ image: ImageRecord, _ above: [PathWhitelist]) throws {
            guard !path.contains(image.id), path.count < 64 else {
                throw RktError(.invalidData, "image \(record.id): its dependencies lead back to \(image.id)")
            }
            try Self.requireTrusted(image)
            path.append(image.id)
            let manifest = try AppcImageManifest.parse(
                try manifestJSON(of: image),
                name: "the manifest of image \(image.id)"
            )
            let own = PathWhitelist(manifest.pathWhitelist ?? []).map { [$0] } ?? []
            let limited = image.layers.map { LayerUse(layer: $0, whitelists: above + own) }
            guard !limited.allSatisfy(uses.contains) else {
                path.removeLast()
                return
            }
            for dependency in manifest.dependencies ?? [] {
                try visit(try withContext("image \(image.id)") { try find(dependency) }, above + own)
            }
            path.removeLast()
            uses += limited.filter { !uses.contains($0) }
            guard uses.count <= OCI.layerLimit else {
                throw RktError(
                    .limitExceeded,
                    "image \(record.id) has more than \(OCI.layerLimit) layers with its dependencies"
                )
            }
        }
        try visit(record, [])
        return uses
    }

    private func find(_ dependency: AppcImageManifest.Dependency) throws -> ImageRecord {
        let name = try AppcImageName(name: dependency.imageName, labels: dependency.labels ?? [])
        let found = try withContext("dependency \(name)") {
            // Others may bring images of the same name: those count that somebody vouched for, if there are any.
            let vouched = try list().filter { image in
                image.verification.isVerified && dependency.imageID.map { image.id.hasPrefix($0) } != false
            }
            return try ImageStore.appc(name, in: vouched) ?? dependency.imageID.map { try image(matching: $0) }
                ?? image(named: name)
        }
        let isRight =
            found.kind == .appc && name.labels.allSatisfy { found.labels.contains($0) }
            && found.names.contains { $0 == name.name.description || $0.hasPrefix("\(name.name):") }
        guard isRight else {
            throw RktError(.invalidData, "dependency \(name): image \(found.id) has another name or other labels")
        }
        if let size = dependency.size, let own = found.layers.first?.size, size != own {
            throw RktError(.digestMismatch, "dependency \(name) has \(own) bytes, not \(size)")
        }
        return found
    }
}
