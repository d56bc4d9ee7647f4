internal import Diagnostics
public import ImageStore
public import Manifests

/// Fills the store from registries.
public struct RegistryFetcher: Sendable {
    private let store: ImageStore
    private let session: HTTPSession
    private let credentials: any CredentialSource

    /// Makes a fetcher.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - settings: What the user allows and has configured for all requests.
    ///   - credentials: What to show to registries.
    /// - Throws: `RktError` with `missingDependency` when libcurl is not there.
    public init(
        store: ImageStore,
        settings: HTTPSettings,
        credentials: any CredentialSource = NoCredentials()
    ) throws {
        self.init(store: store, session: HTTPSession(client: try HTTPClient(settings)), credentials: credentials)
    }

    init(store: ImageStore, session: HTTPSession, credentials: any CredentialSource) {
        self.store = store
        self.session = session
        self.credentials = credentials
    }

    /// Fetches an image into the store.
    ///
    /// - Parameters:
    ///   - reference: The image.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming the image and what is wrong; then nothing is listed that was not before.
    public func fetch(
        _ reference: DockerReference,
        options: FetchOptions,
        progress: ProgressSink? = nil
    ) throws -> ImageRecord {
        let name = "docker://\(reference)"
        return try withContext("cannot fetch image \(name)") {
            let client = RegistryClient(reference, session: session, credentials: credentials)
            let top = try self.top(of: reference, client, name: name)
            let verification = try verify(reference, top.descriptor.digest, options)
            let layers = progress.map { ImageProgress(name, $0) }
            let context = FetchContext(
                work: try store.beginImport(unpack: options.unpack, progress: layers?.sink),
                name: name,
                reference: nil,
                options: options,
                verification: verification,
                progress: progress,
                layers: layers,
                sources: reference.sources(top.descriptor.digest, isVerified: verification.isVerified)
            )
            let content = RegistryContent(client: client, name: name, limit: store.limits.manifestBytes)
            return try OCIImporter(context, content).run(
                top.bytes,
                top.descriptor,
                names: context.sources.map(\.reference)
            )
        }
    }

    /// What a reference leads to, verified as far as the reference says what it is.
    private func top(
        of reference: DockerReference,
        _ client: RegistryClient,
        name: String
    ) throws -> (bytes: [UInt8], descriptor: OCI.Descriptor) {
        let wanted = reference.digest?.description ?? reference.tag ?? "latest"
        let (bytes, mediaType) = try client.manifest(wanted, limit: store.limits.manifestBytes, name: name)
        let digest = try ContentHash.digest(reference.digest?.algorithm ?? .sha256, of: bytes)
        if let pinned = reference.digest, pinned != digest {
            throw RktError(.digestMismatch, "\(reference.registry) sends what has the digest \(digest)")
        }
        // Some registries say what they say for files of any kind; the document itself says what it is.
        let type = mediaType.flatMap { OCI.MediaType.isIndex($0) || OCI.MediaType.isManifest($0) ? $0 : nil }
        let document = try OCI.Document(bytes, mediaType: type, name: name)
        return (
            bytes,
            OCI.Descriptor(mediaType: document.mediaType, digest: digest, size: Int64(bytes.count))
        )
    }

    private func verify(
        _ reference: DockerReference,
        _ digest: Digest,
        _ options: FetchOptions
    ) throws -> ImageRecord.Verification {
        if reference.digest != nil {
            return ImageRecord.Verification(isVerified: true, detail: "pinned by digest")
        }
        if options.insecureImage {
            return ImageRecord.Verification(isVerified: false, detail: "insecure-options=image")
        }
        let pinned = "docker://\(reference.registry)/\(reference.repository)@\(digest)"
        throw RktError(
            .permissionDenied,
            "nobody you trust has signed it (pin what it is now: \(pinned); or try --insecure-options=image)"
        )
    }
}

/// The parts of an image in a registry.
private struct RegistryContent: OCIContent {
    let client: RegistryClient
    let name: String
    let limit: Int

    func document(_ descriptor: OCI.Descriptor) throws -> [UInt8] {
        let title = "\(descriptor.digest) of \(name)"
        let isManifest = OCI.MediaType.isIndex(descriptor.mediaType) || OCI.MediaType.isManifest(descriptor.mediaType)
        guard isManifest else { return try client.document(descriptor.digest, limit: limit, name: title) }
        return try client.manifest(descriptor.digest.description, limit: limit, name: title).bytes
    }

    func layer(_ descriptor: OCI.Descriptor) throws -> BlobSource {
        let title = "layer \(descriptor.digest) of \(name)"
        return try BlobDownload.start(name: title) { sink in
            try client.blob(descriptor.digest, size: descriptor.size, name: title, sink)
        }
    }
}

extension DockerReference {
    /// What this reference is on record as: with a digest, its tag says nothing.
    public var source: String {
        let repository = "\(registry)/\(repository)"
        return digest.map { "\(repository)@\($0)" } ?? "\(repository):\(tag ?? "latest")"
    }

    /// What is on record of an image that this reference has led to: also that its digest leads there.
    fileprivate func sources(_ digest: Digest, isVerified: Bool) -> [ImageRecord.Source] {
        let pinned = ImageRecord.Source(reference: "\(registry)/\(repository)@\(digest)", isVerified: true)
        return self.digest == nil ? [ImageRecord.Source(reference: source, isVerified: isVerified), pinned] : [pinned]
    }
}

extension OCI.Document {
    /// The type that the document itself says, or its shape does.
    fileprivate var mediaType: String {
        switch self {
        case .index(let index): index.mediaType ?? OCI.MediaType.index
        case .manifest(let manifest): manifest.mediaType ?? OCI.MediaType.manifest
        }
    }
}

extension OCI.Manifest {
    /// Whether it is in Docker's form.
    var isDockers: Bool { mediaType == OCI.MediaType.dockerManifest }
}
