internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import Manifests

/// Looks for a signature of an image by a trusted key.
///
/// One that is good is enough; what is wrong with the others is kept, to be told. A signature is looked for where cosign and
/// skopeo put it: at the tag `ALGORITHM-HEX.sig`, and among what refers to the image. Nothing is parsed before its digest
/// is verified, where it has one, and nothing that is signed before its signature is.
struct SignatureCheck {
    /// A manifest or index of the image.
    struct Document {
        let digest: Digest
        /// Nil where it is not at hand; then only its digest can be signed.
        let bytes: [UInt8]?
    }

    /// What looking for a signature may cost, of one image.
    private enum Limit {
        /// The bytes of a list, a manifest or a bundle.
        static let documentBytes = 1 << 20
        /// The bytes of what is signed in cosign's classic form.
        static let payloadBytes = 64 << 10
        /// The manifests with signatures.
        static let manifests = 32
        /// The signatures. Tools add to the end: the last ones are looked at.
        static let signatures = 128
        /// The problems that are told.
        static let problems = 16
    }

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
    ///   - keys: Who is trusted.
    ///   - reference: What was asked for.
    ///   - source: Where signatures are.
    init(keys: [SigstoreKey], reference: DockerReference, source: any SignatureSource) {
        self.keys = keys
        name = SignedName(reference: reference)
        self.source = source
    }

    /// Who has signed a document.
    ///
    /// - Parameter document: The document.
    /// - Returns: A trusted key that has; nil when none has.
    mutating func signer(of document: Document) -> SigstoreKey? {
        let tag = "\(document.digest.algorithm.rawValue)-\(document.digest.hex).sig"
        let tagged = attempt("tag \(tag)") { check in
            guard let bytes = try check.source.manifest(tag: tag, limit: Limit.documentBytes) else { return nil }
            return try check.signer(of: document, inManifest: bytes)
        }
        return tagged
            ?? attempt("what refers to \(document.digest)") { check in
                try check.referringSigner(of: document)
            }
    }

    /// Carries out a part of the search; a problem with it ends no more than that part.
    private mutating func attempt(
        _ what: String,
        _ body: (inout SignatureCheck) throws -> SigstoreKey?
    ) -> SigstoreKey? {
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

    private mutating func referringSigner(of document: Document) throws -> SigstoreKey? {
        for bytes in try source.referrers(of: document.digest, limit: Limit.documentBytes) {
            let list = try StrictJSON.decode(ReferrerList.self, from: bytes, name: "the list")
            guard list.schemaVersion == 2, list.layers == nil else {
                throw RktError(.invalidData, "the list is not an index")
            }
            for entry in list.manifests where entry.mayBeSignature {
                guard manifests < Limit.manifests else {
                    throw RktError(.limitExceeded, "there are more than \(Limit.manifests)")
                }
                let found = attempt("signature \(entry.digest)") { check in
                    let limit = Limit.documentBytes
                    let bytes = try Self.verified(entry.digest, entry.size, limit) {
                        try check.source.manifest(entry.digest, limit: limit)
                    }
                    return try check.signer(of: document, inManifest: bytes)
                }
                if let found { return found }
            }
        }
        return nil
    }

    private mutating func signer(of document: Document, inManifest bytes: [UInt8]) throws -> SigstoreKey? {
        manifests += 1
        let manifest = try StrictJSON.decode(SignatureManifest.self, from: bytes, name: "the manifest")
        guard manifest.isManifest else { throw RktError(.invalidData, "it is not a manifest") }
        for layer in manifest.layers.reversed() {
            guard signatures < Limit.signatures else {
                throw RktError(.limitExceeded, "there are more than \(Limit.signatures) signatures")
            }
            signatures += 1
            let found = attempt("signature in \(layer.digest)") { check in
                switch layer.mediaType {
                case SimpleSigning.mediaType: try check.classicSigner(of: document, layer)
                case SigstoreBundle.mediaType: try check.bundleSigner(of: document, layer)
                default: nil
                }
            }
            if let found { return found }
        }
        return nil
    }

    // MARK: Signatures

    private mutating func classicSigner(of document: Document, _ layer: OCI.Descriptor) throws -> SigstoreKey {
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
        try name.check(signed.name, document.digest)
        return key
    }

    private mutating func bundleSigner(of document: Document, _ layer: OCI.Descriptor) throws -> SigstoreKey {
        let bundle = try SigstoreBundle.parse(try content(layer, limit: Limit.documentBytes))
        switch bundle.content {
        case .statement(let payload, let signed):
            let key = try maker(of: bundle.signature, signed)
            let subjects = try SignatureStatement(payload).subjects(document.digest)
            guard !subjects.isEmpty else { throw RktError(.permissionDenied, "it is of another image") }
            for subject in subjects {
                if let name = subject.name, !name.isEmpty { try self.name.check(name, document.digest) }
            }
            return key
        case .document:
            guard let bytes = document.bytes else { throw RktError(.unsupported, "it is not of a digest") }
            return try maker(of: bundle.signature, bytes)
        }
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
