internal import Diagnostics
public import ImageStore
public import Manifests

/// Fetches single blobs again that the store has lost or that are damaged there. Their digests say what is right, so
/// nobody has to vouch for what comes.
public struct BlobFetcher: Sendable {
    private let registries: RegistryFetcher

    /// Makes a fetcher.
    ///
    /// - Parameter registries: Where blobs come from and go to.
    public init(_ registries: RegistryFetcher) {
        self.registries = registries
    }

    /// Fetches a blob of an image into the store.
    ///
    /// - Parameters:
    ///   - blob: The blob.
    ///   - record: The image.
    ///   - source: Where the image once came from.
    /// - Throws: `RktError` naming the source and what is wrong; then the store is as it was.
    public func fetch(_ blob: Digest, of record: ImageRecord, from source: ImageRecord.Source) throws {
        let reference = try DockerReference(source.reference)
        let client = try registries.sources(of: reference)
        let store = registries.store
        let name = "\(blob) of docker://\(reference)"
        let limit = store.limits.manifestBytes
        let size = record.layers.first { $0.blob == blob }?.size
        try withContext("cannot fetch \(name)") {
            try store.replaceBlob(blob) { sink in
                if blob == record.manifest {
                    let found = try client.manifest(blob.description, limit: limit, name: name)
                    try found.bytes.withUnsafeBytes(sink)
                } else if blob == record.config {
                    try client.document(blob, limit: limit, name: name).withUnsafeBytes(sink)
                } else {
                    try client.blob(blob, size: size, name: name, for: nil, sink)
                }
            }
        }
    }
}
