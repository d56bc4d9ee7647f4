internal import Manifests

/// Where the signatures of images are: beside them, in a repository. Nothing that comes from here is verified.
protocol SignatureSource {
    /// The manifest that a tag leads to.
    ///
    /// - Parameters:
    ///   - tag: The tag.
    ///   - limit: The most bytes.
    /// - Returns: Its bytes; nil when there is none.
    /// - Throws: `RktError` when it cannot be had.
    func manifest(tag: String, limit: Int) throws -> [UInt8]?

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

/// A manifest that holds signatures (an "artifact" of the OCI image specification).
struct SignatureManifest: Decodable {
    let schemaVersion: Int
    let mediaType: String?
    let layers: [OCI.Descriptor]
    /// What an index has instead.
    let manifests: JSONValue?

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

        /// cosign's own type, for signatures in its classic form.
        private static let classicType = "application/vnd.dev.cosign.artifact.sig.v1+json"
        /// What some write as the type of what has no configuration.
        private static let emptyType = "application/vnd.oci.empty.v1+json"

        /// Whether it is likely to be a signature. That it is said to be none can only keep one from being seen.
        var mayBeSignature: Bool {
            guard OCI.MediaType.isManifest(mediaType) else { return false }
            let types = [SigstoreBundle.mediaType, Self.classicType, Self.emptyType, nil]
            let about = annotations?[SigstoreBundle.predicateAnnotation]
            return types.contains(artifactType) && (about == nil || about == SignatureStatement.predicateType)
        }
    }

    let schemaVersion: Int
    let manifests: [Entry]
    /// What a manifest has instead.
    let layers: JSONValue?
}
