public import Manifests

/// What the store knows about one image; written once everything the image consists of is in the store.
public struct ImageRecord: Sendable, Hashable, Codable, Identifiable {
    /// Where an image comes from.
    public enum Kind: String, Sendable, Codable {
        /// An OCI image.
        case oci
        /// An image of Docker's, converted.
        case docker
        /// An appc image.
        case appc
    }

    /// How much is known about who made the image.
    public struct Verification: Sendable, Hashable, Codable {
        /// Whether a signature was checked and good.
        public var isVerified: Bool
        /// Who signed, or why nobody was asked (`insecure-options=image`).
        public var detail: String
        /// The fingerprints of the keys whose signatures were good; nil when no signature was checked.
        public var signers: [String]?
        /// When it was decided, in nanoseconds since the epoch; nil in records of before that was noted.
        public var checkedAt: Int64?
        /// The address that the image came from then.
        public var origin: String?

        /// Makes a verification record, of now.
        ///
        /// - Parameters:
        ///   - isVerified: Whether a signature was checked and good.
        ///   - detail: Who signed, or why nobody was asked.
        ///   - signers: The fingerprints of the keys whose signatures were good.
        ///   - origin: The address that the image came from.
        public init(isVerified: Bool, detail: String, signers: [String]? = nil, origin: String? = nil) {
            self.isVerified = isVerified
            self.detail = detail
            self.signers = signers
            self.origin = origin
            checkedAt = ImageStore.now()
        }
    }

    /// A reference to a registry, or a URL, that has led to an image. Only what was fetched from there, or what
    /// a trusted key has signed as that, has one: names are what anybody can write into a file.
    public struct Source: Sendable, Hashable, Codable {
        /// `HOST/NAME:TAG`, `HOST/NAME@DIGEST`, or the URL.
        public var reference: String
        /// Whether the reference itself, a trusted key or nobody vouched for what came.
        public var isVerified: Bool
        /// Until when nobody has to ask again, of what came from a web server; nil for all else.
        public var freshness: Freshness?
        /// Whether it came when nobody had asked for a version.
        public var isLatest: Bool?

        /// Makes a source.
        ///
        /// - Parameters:
        ///   - reference: `HOST/NAME:TAG`, `HOST/NAME@DIGEST`, or the URL.
        ///   - isVerified: Whether the reference itself or a trusted key vouched for what came.
        ///   - freshness: Until when nobody has to ask again.
        ///   - isLatest: Whether it came when nobody had asked for a version.
        public init(reference: String, isVerified: Bool, freshness: Freshness? = nil, isLatest: Bool? = nil) {
            self.reference = reference
            self.isVerified = isVerified
            self.freshness = freshness
            self.isLatest = isLatest
        }
    }

    /// One layer of an image.
    public struct Layer: Sendable, Hashable, Codable {
        /// The digest of the layer's uncompressed tar, after which its directory is called.
        public var diffID: Digest
        /// The digest of the blob it is kept in.
        public var blob: Digest
        /// The blob's media type.
        public var mediaType: String
        /// The blob's size in bytes.
        public var size: Int64

        /// Makes a layer's record.
        ///
        /// - Parameters:
        ///   - diffID: The digest of the uncompressed tar.
        ///   - blob: The digest of the blob.
        ///   - mediaType: The blob's media type.
        ///   - size: The blob's size in bytes.
        public init(diffID: Digest, blob: Digest, mediaType: String, size: Int64) {
            self.diffID = diffID
            self.blob = blob
            self.mediaType = mediaType
            self.size = size
        }
    }

    /// The version of this record's form.
    public var format = 1
    /// The image's ID: `sha512-` or `sha256-` and 64 hex digits.
    public var id: String
    /// Where it comes from.
    public var kind: Kind
    /// The names it was imported by, the newest first.
    public var names: [String]
    /// The labels of an appc image, `version` among them.
    public var labels: [NameValue]
    /// The blob of its manifest.
    public var manifest: Digest
    /// The blob of its configuration; nil for an appc image, whose manifest has it all.
    public var config: Digest?
    /// Its layers, the lowest first.
    public var layers: [Layer]
    /// When it was last imported, in nanoseconds since the epoch.
    public var importedAt: Int64
    /// The bytes of its manifest, configuration and layers as they are stored.
    public var size: Int64
    /// Who vouches for it.
    public var verification: Verification
    /// Which references to registries have led to it; nil in records of before there were any.
    public var sources: [Source]?
    /// The user who wrote the record; the file says it, whatever the record says. Nil before it is written.
    public internal(set) var owner: UInt32?

    /// Makes the record of an image that is about to be imported.
    package init(
        id: String,
        kind: Kind,
        names: [String],
        labels: [NameValue] = [],
        manifest: Digest,
        config: Digest?,
        layers: [Layer],
        documentBytes: Int64,
        verification: Verification,
        sources: [Source] = []
    ) {
        self.sources = sources
        self.id = id
        self.kind = kind
        self.names = names
        self.labels = labels
        self.manifest = manifest
        self.config = config
        self.layers = layers
        importedAt = 0
        size = documentBytes + layers.reduce(0) { $0 + $1.size }
        self.verification = verification
    }

    /// The blobs the image consists of.
    var blobs: Set<Digest> { Set([manifest] + [config].compactMap(\.self) + layers.map(\.blob)) }

    /// The media type of an appc image's only layer.
    public static let appcMediaType = "application/vnd.appc.aci"
}

/// One unpacked layer.
public struct LayerDirectory: Sendable, Hashable {
    /// The digest of the layer's uncompressed tar, which the directory is called after.
    public let diffID: Digest
    /// The directory's absolute path.
    public let path: String
}
