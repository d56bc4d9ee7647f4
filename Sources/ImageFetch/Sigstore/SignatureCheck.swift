internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import Manifests

/// Looks for a signature of an image by a trusted key.
///
/// One that is good is enough; what is wrong with the others is kept, to be told. A signature is looked for where cosign and
/// skopeo put it: at the tag `ALGORITHM-HEX.sig`, and among what refers to the image. Nothing is parsed before its digest
/// is verified, where it has one, and nothing that is signed before its signature is: where nothing says beforehand what
/// the image is called, all keys are tried, and then the one must be trusted for the name that it has signed.
struct SignatureCheck {
    /// A manifest or index of the image.
    struct Document {
        let digest: Digest
        /// Nil where it is not at hand; then only its digest can be signed.
        let bytes: [UInt8]?
    }

    /// A signature that counts.
    struct Finding {
        /// Who has made it.
        let key: SigstoreKey
        /// What the signer calls the image; nil when the signature is of a digest alone.
        let name: SignedName.Name?
    }

    /// What looking for a signature may cost, of one image.
    private enum Limit {
        /// The bytes of a list, a manifest or a bundle.
        static let documentBytes = 1 << 20
        /// The bytes of what is signed in cosign's classic form.
        static let payloadBytes = 64 << 10
        /// The manifests with signatures, and the places where there could have been one.
        static let manifests = 32
        /// The signatures. Tools add to the end: the last ones are looked at.
        static let signatures = 128
        /// The problems that are told.
        static let problems = 16
    }

    private let trusted: any SigstoreKeySource
    /// Who may have made a signature.
    private let keys: [SigstoreKey]
    private let name: SignedName
    private let source: any SignatureSource
    private var manifests = 0
    private var signatures = 0
    /// Several signatures may be of the same payload.
    private var payloads: [Digest: [UInt8]] = [:]
    /// Why signatures that were found do not count.
    private(set) var problems: [String] = []

    /// - Parameters:
    ///   - trusted: Who is trusted.
    ///   - references: What the image is called, all of one repository; nothing where only a signature says that.
    ///   - source: Where signatures are.
    /// - Throws: `RktError` naming a key that cannot be read or may not be trusted.
    init(_ trusted: any SigstoreKeySource, references: [DockerReference], source: any SignatureSource) throws {
        self.trusted = trusted
        keys =
            try references.first.map { try trusted.sigstoreKeys(for: $0.repositoryName) } ?? trusted.allSigstoreKeys()
        name = SignedName(references: references)
        self.source = source
    }

    /// Whether there is a key at all whose signature would count.
    var hasKeys: Bool { !keys.isEmpty }

    /// Who has signed an image.
    ///
    /// - Parameter documents: What of it may be signed.
    /// - Returns: A signature by a trusted key; nil when there is none.
    mutating func run(_ documents: [Document]) -> Finding? {
        for document in documents {
            if let found = attached(to: document) { return found }
            let referring = attempt("what refers to \(document.digest)") { check in
                try check.referring(to: document)
            }
            if let referring { return referring }
        }
        return nil
    }

    /// Carries out a part of the search; a problem with it ends no more than that part.
    private mutating func attempt(
        _ what: String,
        _ body: (inout SignatureCheck) throws -> Finding?
    ) -> Finding? {
        do {
            return try body(&self)
        } catch {
            // Of many, also the last one is told: that there were too many.
            if problems.count == Limit.problems { problems.removeLast() }
            problems.append("\(what): \(error)")
            return nil
        }
    }

    // MARK: Manifests

    private mutating func attached(to document: Document) -> Finding? {
        for place in source.attached(to: document.digest, limit: Limit.documentBytes) {
            let found = attempt(place.name) { check in
                try check.countManifest()
                guard let bytes = try place.read() else { return nil }
                return try check.signature(of: document, inManifest: bytes)
            }
            if let found { return found }
        }
        return nil
    }

    private mutating func referring(to document: Document) throws -> Finding? {
        for bytes in try source.referrers(of: document.digest, limit: Limit.documentBytes) {
            let list = try StrictJSON.decode(ReferrerList.self, from: bytes, name: "the list")
            guard list.schemaVersion == 2, list.layers == nil else {
                throw RktError(.invalidData, "the list is not an index")
            }
            for entry in list.manifests where entry.mayBeSignature {
                try countManifest()
                let found = attempt("signature \(entry.digest)") { check in
                    let limit = Limit.documentBytes
                    let bytes = try Self.verified(entry.digest, entry.size, limit) {
                        try check.source.manifest(entry.digest, limit: limit)
                    }
                    return try check.signature(of: document, inManifest: bytes)
                }
                if let found { return found }
            }
        }
        return nil
    }

    private mutating func countManifest() throws {
        guard manifests < Limit.manifests else {
            throw RktError(.limitExceeded, "there are more than \(Limit.manifests)")
        }
        manifests += 1
    }

    private mutating func signature(of document: Document, inManifest bytes: [UInt8]) throws -> Finding? {
        let manifest = try StrictJSON.decode(SignatureManifest.self, from: bytes, name: "the manifest")
        guard manifest.isManifest else { throw RktError(.invalidData, "it is not a manifest") }
        for layer in manifest.layers.reversed() {
            guard signatures < Limit.signatures else {
                throw RktError(.limitExceeded, "there are more than \(Limit.signatures) signatures")
            }
            signatures += 1
            let found = attempt("signature in \(layer.digest)") { check in
                switch layer.mediaType {
                case SimpleSigning.mediaType: try check.classic(of: document, layer)
                case SigstoreBundle.mediaType: try check.bundle(of: document, layer)
                default: nil
                }
            }
            if let found { return found }
        }
        return nil
    }

    // MARK: Signatures

    private mutating func classic(of document: Document, _ layer: OCI.Descriptor) throws -> Finding {
        let text = layer.annotations?[SimpleSigning.signatureAnnotation] ?? ""
        guard let signature = Data(base64Encoded: text), !signature.isEmpty else {
            throw RktError(.invalidData, "it has no signature in \(SimpleSigning.signatureAnnotation)")
        }
        let payload = try content(layer, limit: Limit.payloadBytes)
        let key = try maker(of: [UInt8](signature), payload)
        let signed = try SimpleSigning(payload)
        guard signed.digest == document.digest else {
            throw RktError(.permissionDenied, "it is of \(signed.digest), another image")
        }
        return try finding(key, named: [signed.name], document)
    }

    private mutating func bundle(of document: Document, _ layer: OCI.Descriptor) throws -> Finding {
        let bundle = try SigstoreBundle.parse(try content(layer, limit: Limit.documentBytes))
        switch bundle.content {
        case .statement(let payload, let signed):
            let key = try maker(of: bundle.signature, signed)
            let subjects = try SignatureStatement(payload).subjects(document.digest)
            guard !subjects.isEmpty else { throw RktError(.permissionDenied, "it is of another image") }
            return try finding(key, named: subjects.compactMap(\.name).filter { !$0.isEmpty }, document)
        case .document:
            guard let bytes = document.bytes else { throw RktError(.unsupported, "it is not of a digest") }
            return try finding(try maker(of: bundle.signature, bytes), named: [], document)
        }
    }

    /// A good signature, if it counts for what the image is called.
    private func finding(_ key: SigstoreKey, named names: [String], _ document: Document) throws -> Finding {
        let signed = try names.map { try name.check($0, document.digest) }
        guard let first = signed.first else {
            // Whoever has a registry, or makes a file, says what it is called. That is no more than the user has said where
            // the key is trusted for that repository itself.
            guard let asked = name.references.first else {
                throw RktError(.permissionDenied, "it is of a digest alone, and nothing says whose image that is")
            }
            guard key.isForRepository else {
                throw RktError(
                    .permissionDenied,
                    "it names no repository, and the key that has made it is trusted for more than one (what counts is a key "
                        + "for this one and nothing else: rkt trust --prefix=\(asked.repositoryName) KEY)"
                )
            }
            return Finding(key: key, name: nil)
        }
        guard name.references.isEmpty else { return Finding(key: key, name: first) }
        let repositories = Set(signed.map(\.reference.repositoryName))
        guard repositories.count == 1 else {
            let names = repositories.sorted().joined(separator: ", ")
            throw RktError(.permissionDenied, "it is for several images: \(names)")
        }
        let own = try trusted.sigstoreKeys(for: first.reference.repositoryName)
        guard own.contains(where: { $0.fingerprint == key.fingerprint }) else {
            throw RktError(
                .permissionDenied,
                "it is for \(first.reference.repositoryName), for which the key that has made it is not trusted (rkt trust "
                    + "--prefix=\(first.reference.repositoryName) KEY)"
            )
        }
        return Finding(key: key, name: first)
    }

    /// The trusted key that has made a signature.
    private func maker(of signature: [UInt8], _ message: [UInt8]) throws -> SigstoreKey {
        guard let key = keys.first(where: { $0.hasMade(signature, of: message) }) else {
            throw RktError(.permissionDenied, "no key that is trusted for this has made it")
        }
        return key
    }

    // MARK: Content

    private mutating func content(_ layer: OCI.Descriptor, limit: Int) throws -> [UInt8] {
        if let known = payloads[layer.digest], known.count == layer.size { return known }
        let source = self.source
        let bytes = try Self.verified(layer.digest, layer.size, limit) {
            try source.blob(layer.digest, limit: limit)
        }
        // What is signed is small; bundles are, each, another.
        if layer.mediaType == SimpleSigning.mediaType { payloads[layer.digest] = bytes }
        return bytes
    }

    private static func verified(
        _ digest: Digest,
        _ size: Int64,
        _ limit: Int,
        _ get: () throws -> [UInt8]
    ) throws -> [UInt8] {
        guard (0...Int64(limit)).contains(size) else {
            throw RktError(.limitExceeded, "it is announced with \(size) bytes, more than \(limit)")
        }
        let bytes = try get()
        let found = try ContentHash.digest(digest.algorithm, of: bytes)
        guard bytes.count == size, found == digest else {
            throw RktError(.digestMismatch, "what came has \(bytes.count) bytes and the digest \(found)")
        }
        return bytes
    }
}

extension SignatureCheck {
    /// What a signature of an image may be of: what a name has led to, or what an index there has for the platform.
    /// Whichever it is, the image is what it names by digests.
    ///
    /// - Parameters:
    ///   - bytes: What the name has led to, a manifest or an index, verified.
    ///   - descriptor: Its digest and type.
    ///   - platform: What the image is to run on.
    ///   - name: What it is, for errors.
    /// - Returns: The documents.
    /// - Throws: `RktError` with `invalidData` for what is neither, `notFound` when there is nothing for the platform.
    static func documents(
        _ bytes: [UInt8],
        _ descriptor: OCI.Descriptor,
        for platform: OCI.Platform,
        name: String
    ) throws -> [Document] {
        let top = Document(digest: descriptor.digest, bytes: bytes)
        switch try OCI.Document(bytes, mediaType: descriptor.mediaType, name: name) {
        case .manifest: return [top]
        case .index(let index):
            let selected = try index.select(for: platform, reference: nil, name: name)
            return [top, Document(digest: selected.digest, bytes: nil)]
        }
    }
}

extension ImageRecord.Verification {
    /// What is put on record of an image that a trusted key has signed.
    ///
    /// - Parameters:
    ///   - found: The signature.
    ///   - origin: Where the image came from.
    init(_ found: SignatureCheck.Finding, origin: String) {
        let fingerprint = found.key.fingerprint
        let about = found.name == nil ? " (of its digest alone; the key is trusted for this repository)" : ""
        self.init(
            isVerified: true,
            detail: "signed by sigstore key sha256:\(fingerprint)\(about)",
            signers: [fingerprint],
            origin: origin
        )
    }
}
