internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Manifests

/// Imports an image that is a tar, compressed or not.
///
/// A confined child looks at the archive first: it says whether it is an ACI. Everything else is unpacked, by such a
/// child too, into its parts, which are then imported as a directory of them would be.
struct ArchiveImporter {
    private let context: FetchContext
    private let size: Int64
    private let policy: (any SignaturePolicy)?

    /// - Parameters:
    ///   - context: What the steps have in common.
    ///   - size: The archive's size.
    ///   - policy: Decides about the image; nil when that is done, and the file is nobody's to change.
    init(_ context: FetchContext, size: Int64, policy: (any SignaturePolicy)? = nil) {
        self.context = context
        self.size = size
        self.policy = policy
    }

    func run(_ file: borrowing OwnedFD) throws -> ImageRecord {
        let isAppc = try probe(file)
        try rewind(file)
        if isAppc { return try importAppc(file) }
        var context = context
        let rest = try policy.flatMap { try context.decide(by: $0) }
        return try importParts(file, context, rest)
    }

    private func rewind(_ file: borrowing OwnedFD) throws {
        let raw = file.rawValue
        try system("reading \(context.name)") { lseek(raw, 0, SEEK_SET) }
    }

    private func stream(_ file: borrowing OwnedFD, progress: ProgressSink?) -> ContentStream {
        ContentStream(
            source: file,
            name: context.name,
            algorithms: (.sha256, []),
            limits: context.work.store.limits,
            total: size,
            progress: progress
        )
    }

    /// Whether the archive is an ACI, by its first entry.
    private func probe(_ file: borrowing OwnedFD) throws -> Bool {
        let empty = try emptyDirectory("probe")
        let unpacker = try TarUnpacker(.probe, into: empty, name: context.name, limits: context.work.store.limits)
        do {
            _ = try stream(file, progress: nil).run { piece in
                if try !unpacker.take(piece) { throw Enough() }
            }
        } catch is Enough {}
        return try unpacker.finish().isAppc
    }

    private struct Enough: Error {}

    private func emptyDirectory(_ stem: String) throws -> Directory {
        let name = context.work.newName(stem)
        try context.work.work.directory.makeDirectory(name, mode: 0o700)
        return try context.work.work.directory.directory(name)
    }

    private func importParts(
        _ file: borrowing OwnedFD,
        _ context: FetchContext,
        _ policy: (any SignaturePolicy)?
    ) throws -> ImageRecord {
        let parts = try emptyDirectory("parts")
        let unpacker = try TarUnpacker(.plain, into: parts, name: context.name, limits: context.work.store.limits)
        let result = try stream(file, progress: context.progress).run { piece in
            // A child that ended early says why below.
            if try !unpacker.take(piece) { _ = try unpacker.finish() }
        }
        _ = try unpacker.finish()
        guard result.endsWithZeros else {
            throw RktError(.invalidData, "\(context.name) is cut off: a tar ends with zeros")
        }
        return try PartsImporter(context, parts: parts, areOwned: true, policy: policy).run()
    }

    private func importAppc(_ file: borrowing OwnedFD) throws -> ImageRecord {
        let decide = try policy?.appc(path: context.name, options: context.options)
        return try importAppc(file, decide)
    }

    /// Imports an ACI.
    ///
    /// - Parameters:
    ///   - file: The archive, read from its start.
    ///   - decide: Decides about the image; nil when that is done.
    ///   - check: Looks at the manifest of an image that may be used, before it is listed.
    /// - Returns: The image's record.
    /// - Throws: `RktError` naming what is wrong.
    func importAppc(
        _ file: borrowing OwnedFD,
        _ decide: AppcDecision?,
        check: (AppcImageManifest) throws -> Void = { _ in }
    ) throws -> ImageRecord {
        let work = context.work
        var verification = context.verification
        let image = try work.addAppc(file, name: context.name, size: size, progress: context.progress) { name, digest in
            if let decide { verification = try decide(file, "\(name)", digest) }
        }
        try check(image.manifest)
        let labels = image.manifest.labels ?? []
        let version = image.manifest.label("version")
        return try work.commit(
            ImageRecord(
                id: "sha512-\(image.layer.blob.hex.prefix(64))",
                kind: .appc,
                names: ["\(image.manifest.name)" + (version.map { ":\($0)" } ?? "")],
                labels: labels,
                manifest: image.manifestDigest,
                config: nil,
                layers: [image.layer],
                documentBytes: image.manifestSize,
                verification: verification,
                sources: context.sources.map { source in
                    var source = source
                    source.isVerified = verification.isVerified
                    return source
                }
            )
        )
    }
}
