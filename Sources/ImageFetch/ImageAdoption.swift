internal import Diagnostics
internal import Glibc
public import ImageStore
internal import LinuxOS
internal import Manifests

/// Makes images root's own that members of the group have brought.
///
/// Nothing that a member wrote is believed, for members may write into the store what they like, and at any time: the
/// image is imported again, from the blobs that are there, and what comes out must have the id that root has named.
public struct ImageAdoption: Sendable {
    private let store: ImageStore

    /// Makes it.
    ///
    /// - Parameter store: The store that the images are in.
    public init(store: ImageStore) {
        self.store = store
    }

    /// Makes an image this user's own, if this is root and it is another's.
    ///
    /// - Parameters:
    ///   - record: The image as its owner has it on record.
    ///   - text: How the user has named it. The whole id says what it must be; the start of one does not.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record, which can be trusted.
    /// - Throws: `RktError` with `permissionDenied` when nobody has vouched for it, `digestMismatch` when it is not
    ///   what its id says.
    public func adopt(
        _ record: ImageRecord,
        namedAs text: String,
        options: FetchOptions,
        progress: ProgressSink? = nil
    ) throws -> ImageRecord {
        guard !record.isTrusted, geteuid() == 0 else { return record }
        let owner = record.owner ?? 0
        let verification: ImageRecord.Verification
        if text == record.id {
            verification = ImageRecord.Verification(isVerified: false, detail: "named by its id")
        } else if options.insecureImage {
            verification = ImageRecord.Verification(isVerified: false, detail: "insecure-options=image")
        } else {
            throw RktError(
                .permissionDenied,
                "image \(record.id) was fetched by user \(owner), and nobody has verified it since (name it by its whole id; or "
                    + "try --insecure-options=image)"
            )
        }
        return try withContext("image \(record.id), which user \(owner) has fetched") {
            let context = FetchContext(
                work: try store.beginImport(unpack: options.unpack, progress: progress),
                name: record.id,
                reference: nil,
                options: options,
                verification: verification,
                progress: progress
            )
            let own = record.kind == .appc ? try importAppc(record, context) : try importParts(record, context)
            guard own.id == record.id else { throw Self.wrongRecord }
            return own
        }
    }

    private static var wrongRecord: RktError {
        RktError(.digestMismatch, "its record is of something else: have root remove it")
    }

    private func importParts(_ record: ImageRecord, _ context: FetchContext) throws -> ImageRecord {
        guard record.id.hasPrefix("sha256-") else { throw Self.wrongRecord }
        let digest = try Digest(.sha256, hex: String(record.id.dropFirst("sha256-".count)))
        let bytes = try store.readBlob(digest)
        let descriptor = OCI.Descriptor(
            mediaType: try OCI.Document(bytes, mediaType: nil, name: record.id).mediaType,
            digest: digest,
            size: Int64(bytes.count)
        )
        return try OCIImporter(context, StoredContent(store: store)).run(bytes, descriptor, names: [])
    }

    /// The blob of an appc image is copied first: what is looked at several times must not change meanwhile.
    private func importAppc(_ record: ImageRecord, _ context: FetchContext) throws -> ImageRecord {
        guard let layer = record.layers.first, layer.blob.algorithm == .sha512,
            "sha512-\(layer.blob.hex.prefix(64))" == record.id
        else { throw Self.wrongRecord }
        let file = try context.work.privateCopy(of: layer.blob, name: record.id)
        return try ArchiveImporter(context, size: try FileStatus(of: file, name: record.id).size).run(file)
    }
}

/// The parts of an image in the store, whoever has brought them.
private struct StoredContent: OCIContent {
    let store: ImageStore

    func document(_ descriptor: OCI.Descriptor) throws -> [UInt8] { try store.readBlob(descriptor.digest) }

    func layer(_ descriptor: OCI.Descriptor) throws -> BlobSource {
        BlobSource(try store.openBlob(descriptor.digest))
    }
}
