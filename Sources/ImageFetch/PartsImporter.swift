internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Manifests

/// Imports an image that lies in parts in a directory: an OCI layout, or what `docker save` writes.
struct PartsImporter: OCIContent {
    private let context: FetchContext
    private let parts: Directory
    /// Whether the parts are ours to move into the store, having been unpacked for that.
    private let areOwned: Bool
    /// Decides about the image; nil when that is done.
    private let policy: (any SignaturePolicy)?

    init(_ context: FetchContext, parts: Directory, areOwned: Bool, policy: (any SignaturePolicy)?) throws {
        self.context = context
        self.parts = parts
        self.areOwned = areOwned
        self.policy = policy
    }

    func run() throws -> ImageRecord {
        // Newer versions of Docker write both; the OCI layout says more and has digests for all.
        if parts.contains("index.json"), parts.contains("oci-layout") { return try importLayout() }
        if parts.contains("manifest.json") { return try importDockerSave() }
        throw RktError(
            .invalidData,
            "\(context.name) is no image: it has neither an oci-layout with an index.json, nor a manifest.json as "
                + "'docker save' writes it, nor an appc manifest with a rootfs"
        )
    }

    // MARK: OCI layouts

    private func importLayout() throws -> ImageRecord {
        let layout = try OCILayout(parts, name: context.name, limit: context.work.store.limits.manifestBytes)
        let descriptor = try layout.image(for: context.options.platform, reference: context.reference)
        guard let keys = policy?.layoutKeys(context.options) else {
            let names = descriptor.names.filter { (try? DockerReference($0)).map(descriptor.is) ?? true }
            return try OCIImporter(context, self).run(descriptor, names: names.map(fullName))
        }
        // What was verified is what is imported, whatever happens to the file meanwhile.
        let bytes = try layout.document(descriptor, limit: context.work.store.limits.manifestBytes)
        let trust = LayoutTrust(layout: layout, keys: keys, options: context.options)
        let decision = try trust.verify(bytes, descriptor)
        var context = context
        context.verification = decision.verification
        context.sources = decision.sources
        return try OCIImporter(context, self).run(bytes, descriptor, names: decision.names)
    }

    /// A reference name as an image's: many tools write just a tag there, and the name is the file's.
    private func fullName(_ reference: String) -> String {
        guard !reference.contains("/"), !reference.contains(":") else { return reference }
        let file = context.name.split(separator: "/").last.map(String.init) ?? context.name
        // The extensions say what kind of file it is, not what is in it.
        let stem = file.prefix { $0 != "." }
        return stem.isEmpty ? reference : "\(stem):\(reference)"
    }

    func document(_ descriptor: OCI.Descriptor) throws -> [UInt8] {
        try parts.read(OCILayout.path(of: descriptor.digest), limit: context.work.store.limits.manifestBytes)
    }

    func layer(_ descriptor: OCI.Descriptor) throws -> BlobSource { try source(OCILayout.path(of: descriptor.digest)) }

    // MARK: Docker

    private func importDockerSave() throws -> ImageRecord {
        var context = context
        if let policy { context.verification = try policy.verify(path: context.name, options: context.options) }
        let limit = context.work.store.limits.manifestBytes
        let title = "manifest.json of \(context.name)"
        let images = try DockerSaveImage.parse(try parts.read("manifest.json", limit: limit), name: title)
        let entry = try select(images)
        let configBytes = try parts.read(entry.config, limit: limit)
        let importer = OCIImporter(context, self)
        let image = try importer.config(
            configBytes,
            layers: entry.layers.count,
            "the configuration \(entry.config) of \(context.name)"
        )
        // The name of a layer in the archive binds nothing; that its content is right, the diff ID says.
        let numbered = zip(entry.layers, image.rootfs.diffIDs).map { path, diffID in
            (
                path,
                ImageImport.Promise(
                    digest: nil,
                    size: nil,
                    diffID: diffID,
                    mediaType: nil,
                    name: "layer \(path) of \(context.name)"
                )
            )
        }
        let paths = Dictionary(numbered.map { ($0.1.name, $0.0) }) { first, _ in first }
        let layers = try importer.addLayers(numbered.map(\.1)) { promise in try source(paths[promise.name] ?? "") }
        let work = context.work
        let manifest = OCI.Manifest(
            config: OCI.Descriptor(
                mediaType: OCI.MediaType.config,
                digest: try work.add(configBytes),
                size: Int64(configBytes.count)
            ),
            layers: layers.map { OCI.Descriptor(mediaType: $0.mediaType, digest: $0.blob, size: $0.size) }
        )
        // The same archive must give the same manifest each time: its digest is the image's ID.
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = [UInt8](try encoder.encode(manifest))
        let digest = try work.add(bytes)
        return try work.commit(
            ImageRecord(
                id: "sha256-\(digest.hex)",
                kind: .docker,
                names: entry.repoTags,
                manifest: digest,
                config: manifest.config.digest,
                layers: layers,
                documentBytes: Int64(bytes.count + configBytes.count),
                verification: context.verification
            )
        )
    }

    private func select(_ images: [DockerSaveImage]) throws -> DockerSaveImage {
        let known = images.flatMap(\.repoTags).joined(separator: ", ")
        guard let reference = context.reference else {
            guard images.count == 1 else {
                throw RktError(
                    .invalidArgument,
                    "\(context.name) has several images; choose one with '#NAME': \(known)"
                )
            }
            return images[0]
        }
        let matches = images.filter { image in
            image.repoTags.contains { $0 == reference || $0.split(separator: ":").last.map(String.init) == reference }
        }
        guard matches.count == 1 else {
            let problem = matches.isEmpty ? "no image" : "several images"
            throw RktError(.notFound, "\(context.name) has \(problem) named \(reference); it has: \(known)")
        }
        return matches[0]
    }

    // MARK: Files

    private func source(_ path: String) throws -> BlobSource {
        let status = try parts.status(of: path)
        // Of a part with several names, or one that is a link, only a copy is ours alone.
        if areOwned, status.kind == .regular, try hasOneName(path), path.split(separator: "/").last != nil {
            let directory = path.split(separator: "/").dropLast().joined(separator: "/")
            let parent = try parts.directory(directory.isEmpty ? "." : directory)
            return try BlobSource(moving: String(path.split(separator: "/").last ?? ""), in: parent)
        }
        let file = try parts.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard try FileStatus(of: file, name: parts.path(of: path)).kind == .regular else {
            throw RktError(.invalidData, "\(path) of \(context.name) is not a regular file")
        }
        return BlobSource(file)
    }

    private func hasOneName(_ path: String) throws -> Bool {
        let file = try parts.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
        var status = stat()
        let raw = file.rawValue
        try system("looking at \(path)") { fstat(raw, &status) }
        return status.st_nlink == 1
    }
}
