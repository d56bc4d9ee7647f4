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

    init(_ context: FetchContext, size: Int64) {
        self.context = context
        self.size = size
    }

    func run(_ file: borrowing OwnedFD) throws -> ImageRecord {
        let isAppc = try probe(file)
        try rewind(file)
        return isAppc ? try importAppc(file) : try importParts(file)
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

    private func importParts(_ file: borrowing OwnedFD) throws -> ImageRecord {
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
        return try PartsImporter(context, parts: parts, areOwned: true).run()
    }

    private func importAppc(_ file: borrowing OwnedFD) throws -> ImageRecord {
        let work = context.work
        let image = try work.addAppc(file, name: context.name, size: size, progress: context.progress)
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
                verification: context.verification
            )
        )
    }
}
