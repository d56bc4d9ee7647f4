internal import Manifests

/// Where the signatures of images are: beside them, in a repository or in a file. Nothing that comes from here is verified.
protocol SignatureSource {
    /// Where manifests with signatures are that are tied to a manifest or index by no list of referrers.
    ///
    /// - Parameters:
    ///   - digest: The digest of the manifest or index.
    ///   - limit: The most bytes of a manifest with signatures.
    /// - Returns: The places, where there may be nothing.
    func attached(to digest: Digest, limit: Int) -> [SignaturePlace]

    /// What is listed as referring to a manifest or index.
    ///
    /// - Parameters:
    ///   - digest: The digest of the manifest or index.
    ///   - limit: The most bytes of a list.
    /// - Returns: Indexes, as they came.
    /// - Throws: `RktError` when they cannot be had.
    func referrers(of digest: Digest, limit: Int) throws -> [[UInt8]]

    /// A manifest.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - limit: The most bytes.
    /// - Returns: Its bytes.
    /// - Throws: `RktError` when it cannot be had.
    func manifest(_ digest: Digest, limit: Int) throws -> [UInt8]

    /// What is signed, or a bundle.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - limit: The most bytes.
    /// - Returns: Its bytes.
    /// - Throws: `RktError` when it cannot be had.
    func blob(_ digest: Digest, limit: Int) throws -> [UInt8]
}

/// Where a manifest with signatures may be.
struct SignaturePlace {
    /// What it is, for errors.
    let name: String
    /// Gets the manifest, as it comes; nil when there is none.
    let read: () throws -> [UInt8]?
}

extension Digest {
    /// The tag at which cosign and skopeo put the signatures of what has this digest.
    var signatureTag: String { "\(referrersTag).sig" }

    /// The tag at which tools list what refers to what has this digest, where nobody else does.
    var referrersTag: String { "\(algorithm.rawValue)-\(hex)" }
}

/// A manifest that holds signatures (an "artifact" of the OCI image specification).
struct SignatureManifest: Decodable {
    let schemaVersion: Int
    let mediaType: String?
    let layers: [OCI.Descriptor]
    /// What an index has instead.
    let manifests: JSONValue?

    /// cosign's own type, for signatures in its classic form.
    private static let classicType = "application/vnd.dev.cosign.artifact.sig.v1+json"
    /// What some write as the type of what has no configuration.
    private static let emptyType = "application/vnd.oci.empty.v1+json"

    /// Whether what refers to an image is likely to be such a manifest. That it is said to be none can only keep one from
    /// being seen.
    ///
    /// - Parameters:
    ///   - artifactType: What it is said to be.
    ///   - annotations: What else is said about it.
    /// - Returns: Whether it is worth a look.
    static func mayBe(_ artifactType: String?, _ annotations: [String: String]?) -> Bool {
        let about = annotations?[SigstoreBundle.predicateAnnotation]
        return [SigstoreBundle.mediaType, classicType, emptyType, nil].contains(artifactType)
            && (about == nil || about == SignatureStatement.predicateType)
    }

    /// Whether it is what it should be, and nothing else too.
    var isManifest: Bool {
        schemaVersion == 2 && manifests == nil && mediaType.map { OCI.MediaType.isManifest($0) } ?? true
    }
}

/// A list of what refers to a manifest (OCI distribution specification 1.1, "listing referrers").
struct ReferrerList: Decodable {
    struct Entry: Decodable {
        let mediaType: String
        let digest: Digest
        let size: Int64
        let artifactType: String?
        let annotations: [String: String]?

        /// Whether it is likely to be a signature.
        var mayBeSignature: Bool {
            OCI.MediaType.isManifest(mediaType) && SignatureManifest.mayBe(artifactType, annotations)
        }
    }

    let schemaVersion: Int
    let manifests: [Entry]
    /// What a manifest has instead.
    let layers: JSONValue?
}
