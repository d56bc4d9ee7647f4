internal import Diagnostics
public import ImageStore
internal import LinuxOS
public import Manifests

/// Fills the store with ACIs from web servers, by their URLs and by their names.
public struct ArchiveFetcher: Sendable {
    private let store: ImageStore
    private let session: HTTPSession
    private let credentials: any DomainCredentialSource
    private let discovery: AppcDiscovery
    private let signatures: AppcSignatures?
    /// Sees to it that there are keys for an image's name, before its signature is asked for.
    private let findKeys: @Sendable (_ name: String) throws -> Void
    /// Hears what the user should know.
    private let notice: @Sendable (String) -> Void

    /// Makes a fetcher.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - settings: What the user allows and has configured for all requests.
    ///   - credentials: What to show to servers.
    ///   - signatures: Checks signatures; nil when there are no keys to check them with.
    ///   - findKeys: Sees to it that there are keys for an image's name, before its signature is asked for.
    ///   - notice: Hears what the user should know.
    /// - Throws: `RktError` with `missingDependency` when libcurl is not there.
    public init(
        store: ImageStore,
        settings: HTTPSettings,
        credentials: any DomainCredentialSource = NoCredentials(),
        signatures: AppcSignatures?,
        findKeys: @escaping @Sendable (_ name: String) throws -> Void = { _ in },
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        let session = HTTPSession(client: try HTTPClient(settings))
        self.init(
            store: store,
            session: session,
            credentials: credentials,
            discovery: AppcDiscovery(session: session, credentials: credentials),
            signatures: signatures,
            findKeys: findKeys,
            notice: notice
        )
    }

    init(
        store: ImageStore,
        session: HTTPSession,
        credentials: any DomainCredentialSource,
        discovery: AppcDiscovery,
        signatures: AppcSignatures?,
        findKeys: @escaping @Sendable (_ name: String) throws -> Void = { _ in },
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.store = store
        self.session = session
        self.credentials = credentials
        self.discovery = discovery
        self.signatures = signatures
        self.findKeys = findKeys
        self.notice = notice
    }

    /// What an image is on record as that came from a URL.
    ///
    /// - Parameter url: The URL.
    /// - Returns: The reference.
    /// - Throws: `RktError` with `invalidData` for what is no URL.
    public static func reference(_ url: String) throws -> String { try HTTPLocation(url).description }

    // MARK: What is wanted

    private enum SignaturePlace {
        case file(String)
        case url(String)
    }

    private struct Wanted {
        let archive: String
        let signature: SignaturePlace
        /// The image that it must be; nil when only the URL says which.
        var name: AppcImageName?

        /// Whether what comes is the latest: nobody asked for a version. Nil where only a URL was given.
        var isLatest: Bool? { name.flatMap { $0.label("version") == nil ? true : nil } }

        func check(_ manifest: AppcImageManifest) throws { try name?.check(manifest) }
    }

    /// Fetches an ACI by its URL.
    ///
    /// - Parameters:
    ///   - url: The URL, whose path ends with `.aci`.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming the URL and what is wrong; then nothing is listed that was not before.
    public func fetch(url: String, options: FetchOptions, progress: ProgressSink? = nil) throws -> ImageRecord {
        try withContext("cannot fetch image \(url)") {
            let place = url.firstIndex { $0 == "?" || $0 == "#" } ?? url.endIndex
            let signature =
                options.signaturePath.map { SignaturePlace.file($0) } ?? .url("\(url[..<place]).asc\(url[place...])")
            return try fetch(Wanted(archive: url, signature: signature), url, options, progress)
        }
    }

    /// Fetches an ACI by its name.
    ///
    /// - Parameters:
    ///   - name: The image, with the labels that it must have.
    ///   - more: Labels that only help to find it.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming the image and what is wrong; then nothing is listed that was not before.
    public func fetch(
        _ name: AppcImageName,
        more: [NameValue] = [],
        options: FetchOptions,
        progress: ProgressSink? = nil
    ) throws -> ImageRecord {
        try withContext("cannot fetch image \(name)") {
            let full = try name.adding(more)
            let places = try discovery.archives(of: full).archives
            if !options.insecureImage { try findKeys("\(name.name)") }
            let wanted = places.prefix(Self.placeLimit).map { place in
                let signature = options.signaturePath.map { SignaturePlace.file($0) } ?? .url(place.signature)
                return Wanted(archive: place.archive, signature: signature, name: name)
            }
            guard let last = wanted.last else { throw RktError(.notFound, "no endpoints discovered") }
            // A file that is not there is so for all of them.
            if let path = options.signaturePath, !options.insecureImage {
                _ = try signature(.file(path), isDeferrable: false)
            }
            // Each is as good as the first (appc specification, discovery): what is wrong with an image that has come is wrong
            // with all of them, but it may be that one place has nothing to send.
            for (place, next) in zip(wanted, wanted.dropFirst()) {
                do {
                    return try fetch(place, "\(name)", options, progress)
                } catch let error as RktError where [.unavailable, .notFound].contains(error.code) {
                    notice("\(place.archive): \(error); trying \(next.archive)")
                }
            }
            return try fetch(last, "\(name)", options, progress)
        }
    }

    /// How many of the places that a page names are tried.
    private static let placeLimit = 8

    // MARK: Fetching

    private func fetch(
        _ wanted: Wanted,
        _ title: String,
        _ options: FetchOptions,
        _ progress: ProgressSink?
    ) throws -> ImageRecord {
        let address = try Self.reference(wanted.archive)
        let known = try known(address, wanted, options)
        if let known, known.source.freshness?.isFresh == true {
            return try note(address, known.source.freshness, wanted, of: known.record)
        }
        let needsSignature = !options.insecureImage
        if needsSignature, signatures == nil {
            throw RktError(
                .permissionDenied,
                "there are no keys to check its signature with (try --insecure-options=image)"
            )
        }
        let tag = known?.source.freshness?.tag
        // Without it the image would come for nothing; where the image may be here already, that is asked first.
        var signature = needsSignature && tag == nil ? try self.signature(wanted.signature, isDeferrable: true) : nil
        let work = try store.beginImport(unpack: options.unpack, progress: progress)
        let download = ArchiveDownload(session: session, credentials: credentials, work: work, progress: progress)
        switch try download.run(wanted.archive, tag: tag, name: title) {
        case .unchanged(let freshness):
            guard let known else { throw RktError(.unavailable, "the server says that what nobody has is unchanged") }
            return try note(address, freshness, wanted, of: known.record)
        case .file(let file, let size, let freshness):
            if needsSignature, signature == nil {
                signature = try self.signature(wanted.signature, isDeferrable: false)
            }
            let source = ImageRecord.Source(
                reference: address,
                isVerified: false,
                freshness: freshness,
                isLatest: wanted.isLatest
            )
            let context = FetchContext(
                work: work,
                name: title,
                reference: nil,
                options: options,
                verification: ImageRecord.Verification(
                    isVerified: false,
                    detail: "insecure-options=image",
                    origin: address
                ),
                progress: progress,
                sources: [source]
            )
            let decide = signature.map { signature in decision(signature, wanted, address) }
            return try ArchiveImporter(context, size: size)
                .importAppc(file.descriptor, decide, check: wanted.check)
        }
    }

    private func decision(_ signature: [UInt8], _ wanted: Wanted, _ address: String) -> AppcDecision {
        { [signatures] file, name, digest in
            guard let signatures else { throw RktError(.failed, "nobody checks the signature") }
            // Whose signatures count says the name that was asked for.
            if let asked = wanted.name?.name { try asked.check(name) }
            return try signatures.verify(image: file, signature: signature, name: name, digest: digest, origin: address)
        }
    }

    /// What is here already of a URL, if it may be used and is what is wanted.
    private func known(
        _ address: String,
        _ wanted: Wanted,
        _ options: FetchOptions
    ) throws -> (record: ImageRecord, source: ImageRecord.Source)? {
        guard let record = try store.image(fetchedFrom: address, verified: !options.insecureImage),
            let source = record.sources?.first(where: { $0.reference == address }),
            let bytes = try? store.manifestJSON(of: record),
            let manifest = try? AppcImageManifest.parse(bytes, name: "the manifest of image \(record.id)"),
            (try? wanted.check(manifest)) != nil
        else { return nil }
        // A key may have been taken away since.
        if !options.insecureImage, let signatures,
            try !signatures.count(record.verification.signers ?? [], for: manifest.name.description)
        {
            return nil
        }
        return (record, source)
    }

    private func note(
        _ address: String,
        _ freshness: ImageRecord.Freshness?,
        _ wanted: Wanted,
        of record: ImageRecord
    ) throws -> ImageRecord {
        var source = record.sources?.first { $0.reference == address } ?? .init(reference: address, isVerified: false)
        let before = source
        source.freshness = freshness
        source.isLatest = wanted.isLatest ?? source.isLatest
        store.markUsed(record)
        return source == before ? record : try store.note(source, of: record)
    }

    // MARK: Signatures

    /// The signature; nil when the server wants to be asked after the image.
    private func signature(_ place: SignaturePlace, isDeferrable: Bool) throws -> [UInt8]? {
        switch place {
        case .file(let path):
            return try UserFile.read(path, limit: PGPSignatures.sizeLimit, what: "signature")
        case .url(let url):
            return try withContext("fetching its signature") {
                let location = try HTTPLocation(url)
                let answer = try session.document(
                    HTTPRequest(location),
                    try credentials.authorization(for: location),
                    limit: PGPSignatures.sizeLimit,
                    name: "the signature"
                )
                if answer.response.status == 202 {
                    guard isDeferrable else {
                        throw RktError(
                            .unavailable,
                            "\(answer.response.location.origin) has deferred it, and does not have it yet"
                        )
                    }
                    notice("server requested deferring the signature download")
                    return nil
                }
                guard answer.response.status == 200 else {
                    throw RktError(
                        answer.response.refusal.code,
                        "it is not signed: no signature at \(url) (HTTP status \(answer.response.status); "
                            + "try --insecure-options=image)"
                    )
                }
                return answer.body
            }
        }
    }
}

extension ACIdentifier {
    /// Refuses an image of another name.
    fileprivate func check(_ found: String) throws {
        guard description == found else {
            throw RktError(
                .permissionDenied,
                "error when reading the app name: \(description.debugDescription) expected but \(found.debugDescription) found"
            )
        }
    }
}

extension AppcImageName {
    /// The name with labels that it has no word about.
    ///
    /// - Parameter more: The labels.
    /// - Returns: The whole.
    /// - Throws: `RktError` for labels that cannot be.
    func adding(_ more: [NameValue]) throws -> AppcImageName {
        try AppcImageName(name: name, labels: labels + more.filter { label($0.name) == nil })
    }

    /// Refuses an image that is another one than was asked for.
    fileprivate func check(_ manifest: AppcImageManifest) throws {
        try name.check(manifest.name.description)
        for label in labels {
            guard let found = manifest.label(label.name) else {
                throw RktError(
                    .permissionDenied,
                    "requested label \(label.name.debugDescription) not provided by the image manifest"
                )
            }
            guard found == label.value else {
                throw RktError(
                    .permissionDenied,
                    "requested value for label \(label.name.debugDescription): \(label.value.debugDescription) differs from "
                        + "fetched aci label value: \(found.debugDescription)"
                )
            }
        }
    }
}
