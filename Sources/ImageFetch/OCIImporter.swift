internal import Diagnostics
internal import ImageStore
internal import Manifests

/// Where the parts of an OCI image are: in a layout, or in a registry.
protocol OCIContent: Sendable {
    /// A manifest, an index or a configuration.
    ///
    /// - Parameter descriptor: Which, and what it should be; nobody has to check that here.
    /// - Returns: Its bytes, no more than any manifest has.
    /// - Throws: `RktError` when it cannot be had.
    func document(_ descriptor: OCI.Descriptor) throws -> [UInt8]

    /// A layer.
    ///
    /// - Parameter descriptor: Which, and what it should be; nobody has to check that here.
    /// - Returns: Its content.
    /// - Throws: `RktError` when it cannot be had.
    func layer(_ descriptor: OCI.Descriptor) throws -> BlobSource

    /// Whether a layer that came wrong may come right from elsewhere.
    ///
    /// - Parameter layer: Which.
    /// - Returns: Whether to try again.
    func isWorthAnotherTry(of layer: OCI.Descriptor) -> Bool
}

extension OCIContent {
    func isWorthAnotherTry(of layer: OCI.Descriptor) -> Bool { false }
}

/// Imports an image whose parts name each other by digests, and checks that they are what they are named.
struct OCIImporter {
    private let context: FetchContext
    private let content: any OCIContent

    init(_ context: FetchContext, _ content: any OCIContent) {
        self.context = context
        self.content = content
    }

    /// Indexes may hold indexes; no honest tool goes deeper than two.
    private static let depthLimit = 8

    /// Imports the image that a descriptor leads to.
    ///
    /// - Parameters:
    ///   - descriptor: A manifest, or an index that has one for the platform.
    ///   - names: The image's names.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming what is wrong.
    func run(_ descriptor: OCI.Descriptor, names: [String]) throws -> ImageRecord {
        try run(try read(descriptor), descriptor, names: names)
    }

    /// The same with the bytes at hand, which must have been verified.
    func run(_ bytes: [UInt8], _ descriptor: OCI.Descriptor, names: [String]) throws -> ImageRecord {
        var bytes = bytes
        var descriptor = descriptor
        for _ in 0..<Self.depthLimit {
            let title = "\(descriptor.digest) of \(context.name)"
            switch try OCI.Document(bytes, mediaType: descriptor.mediaType, name: title) {
            case .manifest(let manifest):
                let kind: ImageRecord.Kind = manifest.isDockers ? .docker : .oci
                return try importImage(manifest, bytes, kind: kind, names: names, title)
            case .index(let index):
                descriptor = try index.select(for: context.options.platform, reference: nil, name: title)
            }
            bytes = try read(descriptor)
        }
        throw RktError(.limitExceeded, "\(context.name) has indexes in indexes, more than \(Self.depthLimit) deep")
    }

    /// A document, verified before anybody parses it.
    private func read(_ descriptor: OCI.Descriptor) throws -> [UInt8] {
        let name = "\(descriptor.digest) of \(context.name)"
        let limit = context.work.store.limits.manifestBytes
        guard descriptor.size <= limit else {
            throw RktError(.limitExceeded, "\(name) is announced with \(descriptor.size) bytes, more than \(limit)")
        }
        let bytes = try content.document(descriptor)
        guard bytes.count == descriptor.size else {
            throw RktError(.digestMismatch, "\(name) has \(bytes.count) bytes, not \(descriptor.size)")
        }
        let found = try ContentHash.digest(descriptor.digest.algorithm, of: bytes)
        guard found == descriptor.digest else { throw RktError(.digestMismatch, "\(name) has the digest \(found)") }
        return bytes
    }

    private func importImage(
        _ manifest: OCI.Manifest,
        _ bytes: [UInt8],
        kind: ImageRecord.Kind,
        names: [String],
        _ title: String
    ) throws -> ImageRecord {
        let configBytes = try read(manifest.config)
        let image = try config(configBytes, layers: manifest.layers.count, "the configuration of \(title)")
        let work = context.work
        let promises = zip(manifest.layers, image.rootfs.diffIDs).map { layer, diffID in
            ImageImport.Promise(
                digest: layer.digest,
                size: layer.size,
                diffID: diffID,
                mediaType: layer.mediaType,
                name: "layer \(layer.digest) of \(context.name)"
            )
        }
        let descriptors = Dictionary(manifest.layers.map { ($0.digest, $0) }) { first, _ in first }
        let layers = try addLayers(promises) { promise in
            guard let descriptor = promise.digest.flatMap({ descriptors[$0] }) else {
                throw RktError(.failed, "\(promise.name) is none of the image's")
            }
            return try content.layer(descriptor)
        } isWorthAnotherTry: { promise in
            promise.digest.flatMap { descriptors[$0] }.map { content.isWorthAnotherTry(of: $0) } ?? false
        }
        let id = "sha256-\(try ContentHash.digest(.sha256, of: bytes).hex)"
        let taken = try taken(from: id)
        return try work.commit(
            ImageRecord(
                id: id,
                kind: kind,
                names: names.filter { !taken.contains($0) },
                manifest: try work.add(bytes),
                config: try work.add(configBytes, manifest.config.digest.algorithm),
                layers: layers,
                documentBytes: Int64(bytes.count + configBytes.count),
                verification: context.verification,
                sources: context.sources.filter { !taken.contains($0.reference) }
            )
        )
    }

    /// What a file says of an image that leads to others in the store. It may be older than what a registry has sent since: a
    /// tag that leads somewhere stays where it is.
    private func taken(from id: String) throws -> Set<String> {
        guard context.registry == nil, !context.sources.isEmpty else { return [] }
        let others = try context.work.store.list().filter { $0.isTrusted && $0.id != id }
        return Set(others.flatMap { $0.sources ?? [] }.map(\.reference))
    }

    // MARK: What Docker's archives have too

    /// Reads an image's configuration, and refuses one that is not for the platform.
    func config(_ bytes: [UInt8], layers: Int, _ name: String) throws -> OCI.Image {
        let image = try OCI.Image.parse(bytes, name: name)
        guard image.rootfs.diffIDs.count == layers else {
            throw RktError(
                .invalidData,
                "\(name) names \(image.rootfs.diffIDs.count) layers, the manifest \(layers)"
            )
        }
        let platform = OCI.Platform(os: image.os, architecture: image.architecture, variant: image.variant)
        guard context.options.platform.rank(of: platform) != nil else {
            throw RktError(
                .unsupported,
                "\(context.name) is an image for \(platform), not for \(context.options.platform)"
            )
        }
        // What cannot be understood now must not surface when a pod starts.
        _ = try ImageConfig(image, name: name)
        return image
    }

    /// Adds all layers, several at once; one that the image has twice is read once.
    func addLayers(
        _ promises: [ImageImport.Promise],
        _ source: @escaping @Sendable (ImageImport.Promise) throws -> BlobSource,
        isWorthAnotherTry: @escaping @Sendable (ImageImport.Promise) -> Bool = { _ in false }
    ) throws -> [ImageRecord.Layer] {
        let work = context.work
        var first: [String: Int] = [:]
        var distinct: [ImageImport.Promise] = []
        let places = promises.map { promise in
            let key = "\(promise.diffID) \(promise.digest.map(\.description) ?? promise.name)"
            if let place = first[key] { return place }
            first[key] = distinct.count
            distinct.append(promise)
            return distinct.count - 1
        }
        let missing = distinct.filter { work.stored($0) == nil }
        let sizes = missing.compactMap(\.size)
        // Only when all of them are known.
        if sizes.count == missing.count { context.layers?.expect(sizes.reduce(0, +)) }
        let layers = try concurrently(distinct) { promise in
            if let stored = work.stored(promise) { return stored }
            while true {
                do {
                    return try work.addLayer(
                        promise,
                        origin: context.registry,
                        waiting: { context.progress?("\(promise.name): \(FetchContext.waiting)", 0, nil) },
                        from: { try source(promise) }
                    )
                } catch let error as RktError where error.isOfContent && isWorthAnotherTry(promise) {
                    continue
                }
            }
        }
        return places.map { layers[$0] }
    }
}

extension RktError {
    /// Whether it says that content is not what it should be, and not that it could not be had.
    fileprivate var isOfContent: Bool { [.digestMismatch, .invalidData, .limitExceeded].contains(code) }
}
