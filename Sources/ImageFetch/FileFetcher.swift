internal import Diagnostics
internal import Glibc
public import ImageStore
internal import LinuxOS
internal import Manifests

/// Fills the store from files: ACIs, OCI layouts (a directory or a tar of one), and what `docker save` writes; tars may
/// be compressed with gzip, bzip2, xz or zstd. What a file is, its content says, never its name.
public struct FileFetcher: Sendable {
    private let store: ImageStore
    private let policy: any SignaturePolicy

    /// Makes a fetcher.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - policy: Decides which may.
    public init(store: ImageStore, policy: any SignaturePolicy = UnsignedPolicy()) {
        self.store = store
        self.policy = policy
    }

    /// Whether a path can be an image: a regular file, or a directory with an `oci-layout`.
    ///
    /// - Parameter path: The path.
    /// - Returns: Whether it is there and of such a kind.
    public static func isImage(_ path: String) -> Bool {
        guard let kind = try? FileFetcher.open(path).kind else { return false }
        if kind == .regular { return true }
        return kind == .directory && ((try? Directory(path: path).status(of: "oci-layout").kind) == .regular)
    }

    /// Reads an image into the store.
    ///
    /// - Parameters:
    ///   - path: The file or directory; `#NAME` or `:NAME` after it chooses one of several images by its
    ///     `org.opencontainers.image.ref.name` or its Docker tag.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming the file and what is wrong with it; then nothing is listed that was not before.
    public func fetch(path: String, options: FetchOptions, progress: ProgressSink? = nil) throws -> ImageRecord {
        let reference = try? ImageReference(path, acceptsID: false, exists: FileFetcher.isImage)
        guard case .file(let file, let name) = reference else {
            return try fetch(file: path, reference: nil, options: options, progress: progress)
        }
        return try fetch(file: file, reference: name, options: options, progress: progress)
    }

    /// Reads an image into the store, by a path that is taken as it is.
    ///
    /// - Parameters:
    ///   - file: The file or directory.
    ///   - reference: Chooses one of several images.
    ///   - options: What the user allows.
    ///   - progress: Hears how far it is.
    /// - Returns: The image's record.
    /// - Throws: `RktError` as ``fetch(path:options:progress:)``.
    public func fetch(
        file: String,
        reference: String?,
        options: FetchOptions,
        progress: ProgressSink? = nil
    ) throws -> ImageRecord {
        try withContext("cannot fetch image \(file)") {
            let opened = try FileFetcher.open(file)
            guard opened.kind == .regular || opened.kind == .directory else {
                throw RktError(.invalidArgument, "\(file) is neither a regular file nor an OCI layout directory")
            }
            let layers = opened.kind == .directory ? progress.map { ImageProgress(file, $0) } : nil
            var context = FetchContext(
                work: try store.beginImport(unpack: options.unpack, progress: layers?.sink ?? progress),
                name: file,
                reference: reference,
                options: options,
                verification: .undecided,
                progress: progress,
                layers: layers
            )
            if opened.kind == .directory {
                let rest = try context.decide(by: policy)
                let parts = try Directory(path: file)
                return try PartsImporter(context, parts: parts, areOwned: false, policy: rest).run()
            }
            return try ArchiveImporter(context, size: opened.size, policy: policy).run(opened.file)
        }
    }

    private static func open(_ path: String) throws -> OpenedFile {
        let file = OwnedFD(
            taking: try system("opening \(path)") { Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY) }
        )
        let status = try FileStatus(of: file, name: path)
        return OpenedFile(file: file, kind: status.kind, size: status.size)
    }
}

/// An open file and what it is.
struct OpenedFile: ~Copyable {
    let file: OwnedFD
    let kind: FileStatus.Kind
    let size: Int64
}

/// What the steps of one fetch have in common.
struct FetchContext: Sendable {
    let work: ImageImport
    let name: String
    let reference: String?
    let options: FetchOptions
    var verification: ImageRecord.Verification
    let progress: ProgressSink?
    /// The progress of the image, where that is made of its layers'.
    var layers: ImageProgress?
    /// What has led to the image, or what it is signed as.
    var sources: [ImageRecord.Source] = []
    /// The registry that the image comes from, where it does.
    var registry: String?

    /// What is said of something that another process is bringing.
    static let waiting = "another rkt instance is downloading it, waiting..."

    /// Has a policy decide that need not look into an image which is no ACI.
    ///
    /// - Parameter policy: The policy.
    /// - Returns: It, if it must; else nil, and what it has decided is noted here.
    /// - Throws: `RktError` with `permissionDenied` when the image must not be used.
    mutating func decide(by policy: any SignaturePolicy) throws -> (any SignaturePolicy)? {
        guard policy.layoutKeys(options) == nil else { return policy }
        verification = try policy.verify(path: name, options: options)
        return nil
    }
}

extension ImageRecord.Verification {
    /// Nobody has been asked yet.
    fileprivate static let undecided = ImageRecord.Verification(isVerified: false, detail: "nobody was asked")
}
