internal import Diagnostics
public import ImageStore
public import Manifests

/// Fills the store from registries.
public struct RegistryFetcher: Sendable {
    let store: ImageStore
    private let session: HTTPSession
    private let credentials: any CredentialSource
    private let keys: any SigstoreKeySource

    /// Makes a fetcher.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - settings: What the user allows and has configured for all requests.
    ///   - credentials: What to show to registries.
    ///   - keys: Who may sign images.
    /// - Throws: `RktError` with `missingDependency` when libcurl is not there.
    public init(
        store: ImageStore,
        settings: HTTPSettings,
        credentials: any CredentialSource = NoCredentials(),
        keys: any SigstoreKeySource = NoSigstoreKeys()
    ) throws {
        let session = HTTPSession(client: try HTTPClient(settings))
        self.init(store: store, session: session, credentials: credentials, keys: keys)
    }

    init(
        store: ImageStore,
        session: HTTPSession,
        credentials: any CredentialSource,
        keys: any SigstoreKeySource = NoSigstoreKeys()
    ) {
        self.store = store
        self.session = session
        self.credentials = credentials
        self.keys = keys
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
            let client = try sources(of: reference)
            let top = try self.top(of: reference, client, name: name)
            let trust = RegistryTrust(reference: reference, keys: keys, client: client)
            let verification = try trust.verify(top.bytes, top.descriptor, options)
            // Whoever is fetching the same has it on record when this goes on.
            let claim = try store.claim(.image, top.descriptor.digest, from: reference.registry) {
                progress?("\(name): \(FetchContext.waiting)", 0, nil)
            }
            defer { withExtendedLifetime(claim) {} }
            let layers = progress.map { ImageProgress(name, $0) }
            let context = FetchContext(
                work: try store.beginImport(unpack: options.unpack, progress: layers?.sink),
                name: name,
                reference: nil,
                options: options,
                verification: verification,
                progress: progress,
                layers: layers,
                sources: reference.sources(top.descriptor.digest, isVerified: verification.isVerified),
                registry: reference.registry
            )
            let downloads = DownloadGroup()
            defer { downloads.end() }
            let content = RegistryContent(
                store: store,
                client: client,
                downloads: downloads,
                name: name
            )
            return try OCIImporter(context, content).run(
                top.bytes,
                top.descriptor,
                names: context.sources.map(\.reference)
            )
        }
    }

    /// What is configured for registries.
    public var rules = RegistryRules()
    /// Hears what only somebody who looks for a fault wants to know.
    public var note: @Sendable (String) -> Void = { _ in }

    /// What is too slow for a mirror.
    var mirrorPace = HTTPPace.ofMirrors

    /// Where a reference may be had, by the configuration.
    func sources(of reference: DockerReference) throws -> RegistrySources {
        let endpoints = try rules.endpoints(for: reference)
        let insecure = try endpoints.contains(where: \.isInsecure) ? session.insecure() : session
        return RegistrySources(
            endpoints.map { endpoint in
                var session = endpoint.isInsecure ? insecure : session
                // Somebody else may have it: that is quicker than to wait.
                if endpoint.isMirror {
                    session.failureLimit = 2
                    session.pace = mirrorPace
                }
                return RegistrySources.Source(
                    client: RegistryClient(
                        endpoint.reference,
                        session: session,
                        credentials: credentials,
                        tokenServers: endpoint.tokenServers,
                        isInsecure: endpoint.isInsecure
                    ),
                    name: endpoint.reference.registry,
                    isMirror: endpoint.isMirror,
                    onlyByDigest: endpoint.onlyByDigest
                )
            },
            note: note
        )
    }

    /// What a reference leads to, verified as far as the reference says what it is.
    private func top(
        of reference: DockerReference,
        _ client: RegistrySources,
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
}

/// The parts of an image in a registry.
private struct RegistryContent: OCIContent {
    let store: ImageStore
    let client: RegistrySources
    let downloads: DownloadGroup
    let name: String

    func document(_ descriptor: OCI.Descriptor) throws -> [UInt8] {
        // What its digest names is the same everywhere.
        if let stored = try? store.readBlob(descriptor.digest) { return stored }
        let title = "\(descriptor.digest) of \(name)"
        let limit = store.limits.manifestBytes
        let isManifest = OCI.MediaType.isIndex(descriptor.mediaType) || OCI.MediaType.isManifest(descriptor.mediaType)
        guard isManifest else { return try client.document(descriptor.digest, limit: limit, name: title) }
        return try client.manifest(descriptor.digest.description, limit: limit, name: title).bytes
    }

    func layer(_ descriptor: OCI.Descriptor) throws -> BlobSource {
        let title = "layer \(descriptor.digest) of \(name)"
        return try BlobDownload.start(name: title, in: downloads) { stream, sink in
            try client.blob(descriptor.digest, size: descriptor.size, name: title, for: stream, sink)
        }
    }

    func isWorthAnotherTry(of layer: OCI.Descriptor) -> Bool { client.isWorthAnotherTry(of: layer.digest) }
}

extension DockerReference {
    /// What this reference is on record as: with a digest, its tag says nothing.
    public var source: String {
        digest.map { "\(repositoryName)@\($0)" } ?? "\(repositoryName):\(tag ?? "latest")"
    }

    /// What is on record of an image that this reference has led to: also that its digest leads there.
    fileprivate func sources(_ digest: Digest, isVerified: Bool) -> [ImageRecord.Source] {
        let pinned = ImageRecord.Source(reference: "\(repositoryName)@\(digest)", isVerified: true)
        return self.digest == nil ? [ImageRecord.Source(reference: source, isVerified: isVerified), pinned] : [pinned]
    }
}

extension OCI.Document {
    /// The type that the document itself says, or its shape does.
    var mediaType: String {
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
