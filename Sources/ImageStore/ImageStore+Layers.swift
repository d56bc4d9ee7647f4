internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

extension ImageStore {
    /// The unpacked layers of an image, and of the images that an appc image depends on; unpacks what is missing.
    ///
    /// Hold a ``lease()`` from before the call until the pod that uses them is on record.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - progress: Hears how far it is.
    /// - Returns: The layers, the lowest first, each once.
    /// - Throws: ``RktError`` with `permissionDenied` when something must be unpacked and the caller is not root,
    ///   `digestMismatch` when a blob is damaged, `notFound` when a dependency is missing, `unsupported` for an image with
    ///   a path whitelist.
    public func layers(of record: ImageRecord, progress: ProgressSink? = nil) throws -> [LayerDirectory] {
        var layers: [ImageRecord.Layer] = []
        for image in try withDependencies(record) {
            layers += image.layers.filter { !layers.contains($0) }
        }
        let directory = try part("layers")
        let missing = layers.filter { !directory.contains($0.diffID.hex) }
        if !missing.isEmpty { try unpack(missing, of: record, progress: progress) }
        markUsed(record)
        return layers.map { LayerDirectory(diffID: $0.diffID, path: directory.path(of: $0.diffID.hex)) }
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

    /// An image with those it is built on, the lowest first, each once.
    private func withDependencies(_ record: ImageRecord) throws -> [ImageRecord] {
        guard record.kind == .appc else { return [record] }
        var ordered: [ImageRecord] = []
        var path: [String] = []
        func visit(_ image: ImageRecord) throws {
            if ordered.contains(where: { $0.id == image.id }) { return }
            guard !path.contains(image.id), path.count < 64 else {
                throw RktError(.invalidData, "image \(record.id): its dependencies lead back to \(image.id)")
            }
            path.append(image.id)
            let manifest = try AppcImageManifest.parse(
                try manifestJSON(of: image),
                name: "the manifest of image \(image.id)"
            )
            guard (manifest.pathWhitelist ?? []).isEmpty else {
                throw RktError(
                    .unsupported,
                    "image \(image.id) (\(manifest.name)) has a pathWhitelist: it cannot be run"
                )
            }
            for dependency in manifest.dependencies ?? [] {
                try visit(try withContext("image \(image.id)") { try find(dependency) })
            }
            path.removeLast()
            ordered.append(image)
            guard ordered.flatMap(\.layers).count <= OCI.layerLimit else {
                throw RktError(
                    .limitExceeded,
                    "image \(record.id) has more than \(OCI.layerLimit) layers with its dependencies"
                )
            }
        }
        try visit(record)
        return ordered
    }

    private func find(_ dependency: AppcImageManifest.Dependency) throws -> ImageRecord {
        let name = try AppcImageName(name: dependency.imageName, labels: dependency.labels ?? [])
        let found = try withContext("dependency \(name)") {
            try dependency.imageID.map { try image(matching: $0) } ?? image(named: name)
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
