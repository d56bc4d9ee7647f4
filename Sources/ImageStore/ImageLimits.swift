/// What untrusted images may cost; the one place where these numbers are.
public struct ImageLimits: Sendable {
    /// The bytes of all files of a layer, unpacked.
    public var unpackedBytes: UInt64 = 64 << 30
    /// The entries of a layer or archive.
    public var entries: UInt64 = 2_000_000
    /// The bytes of a path in a layer.
    public var pathLength: UInt32 = 4_000
    /// The components of a path in a layer.
    public var pathDepth: UInt32 = 255
    /// The bytes of the extended attributes of one entry.
    public var attributeBytes: UInt32 = 256 << 10
    /// The bytes of a manifest, index or configuration.
    public var manifestBytes = 4 << 20
    /// The bytes of one blob or archive as it comes.
    public var blobBytes: Int64 = 64 << 30
    /// How many times larger than its compressed form a stream may become, once it is over ``ratioFloor``.
    public var compressionRatio: Int64 = 200
    /// The decompressed bytes that are accepted at any ratio.
    public var ratioFloor: Int64 = 1 << 30
    /// The memory that an unpacking process may use, in bytes.
    public var unpackMemory: UInt64 = 256 << 20
    /// The processor time that an unpacking process may use, in seconds.
    public var unpackSeconds: UInt64 = 3_600

    /// The default limits.
    public init() {}
}

/// Hears how far an operation is: what is being read, how many bytes of it are done, and how many there are (nil when
/// nobody knows). It is called from several threads and must not block.
public typealias ProgressSink = @Sendable (_ item: String, _ done: Int64, _ total: Int64?) -> Void
