internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

extension ImageStore {
    /// Reads all that images consist of again: every blob against its digest, and every unpacked layer against a fresh
    /// unpacking of its blob.
    ///
    /// - Parameters:
    ///   - images: The images; nil for all there are, their records too.
    ///   - progress: Hears how far it is.
    /// - Returns: What was found.
    /// - Throws: ``RktError`` when the store cannot be read at all.
    public func verify(_ images: [ImageRecord]?, progress: ProgressSink? = nil) throws -> StoreVerification {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        var result = StoreVerification()
        if let images {
            result.images = images
        } else {
            (result.images, result.damages) = try readRecords()
        }
        result.comparedLayers = geteuid() == 0
        result.damages += try StoreVerifier(self, images: result.images, progress: progress).run()
        return result
    }

    /// All records, and those that cannot be read.
    private func readRecords() throws -> ([ImageRecord], [StoreDamage]) {
        let directory = try part("images")
        var records: [ImageRecord] = []
        var damages: [StoreDamage] = []
        for name in try directory.names() where !name.hasPrefix(".") && name.hasSuffix(".json") {
            do {
                if let record = try record(name, in: directory) { records.append(record) }
            } catch {
                let path = directory.path(of: name)
                damages.append(StoreDamage(object: .record(path), problem: "\(error)", images: []))
            }
        }
        return (records.sorted { ($0.importedAt, $0.id) < ($1.importedAt, $1.id) }, damages)
    }
}

/// One pass over all that some images consist of.
private struct StoreVerifier {
    private let store: ImageStore
    private let images: [ImageRecord]
    /// One for all, as images share what they consist of.
    private let progress: ImageProgress?
    /// Where layers are unpacked to; nil for those who cannot. Not an import, which would read all records, and one of them
    /// may be what is damaged.
    private let area: WorkArea?

    init(_ store: ImageStore, images: [ImageRecord], progress: ProgressSink?) throws {
        self.store = store
        self.images = images
        self.progress = progress.map { ImageProgress("images", $0) }
        area = geteuid() == 0 ? try store.workArea() : nil
    }

    /// A blob, with the layer that is unpacked from it, if it is one.
    private struct Item: Sendable {
        let blob: Digest
        let layer: ImageRecord.Layer?
    }

    func run() throws -> [StoreDamage] {
        let layers = Dictionary(images.filter(\.isTrusted).flatMap(\.layers).map { ($0.blob, $0) }) { first, _ in first
        }
        let items = Set(images.flatMap { $0.blobs }).sorted().map { Item(blob: $0, layer: layers[$0]) }
        progress?.expect(items.reduce(0) { $0 + (store.blobSize($1.blob) ?? 0) })
        let found = try concurrently(items) { try self.check($0) }.flatMap(\.self)
        return found + (try checkLimited(sparing: Set(found.map(\.object))))
    }

    private func users(of blob: Digest) -> [ImageRecord] { images.filter { $0.blobs.contains(blob) } }

    private func check(_ item: Item) throws -> [StoreDamage] {
        guard isRegular(item.blob) else { return [checkBlob(item.blob)].compactMap(\.self) }
        let layers = try? store.part("layers")
        guard let area, let layer = item.layer, let layers, layers.contains(layer.diffID.hex) else {
            return checkBlob(item.blob).map { [$0] } ?? []
        }
        let start = ImageStore.now() / 1_000_000_000 - 1
        let object = StoreDamage.Object.layer(layer.diffID)
        let users = users(of: layer.blob)
        let name: String
        do {
            name = try store.unpackAgain(layer, area, progress: progress?.sink)
        } catch let error as RktError where error.code == .digestMismatch {
            return [StoreDamage(object: .blob(item.blob), problem: Self.words(error, item.blob), images: users)]
        } catch let error as RktError where error.code != .noSpace {
            // A blob that is cut off or flipped often breaks in decompression, before its digest is known.
            if let damage = checkBlob(item.blob) { return [damage] }
            guard [.invalidData, .limitExceeded].contains(error.code) else { throw error }
            return [StoreDamage(object: object, problem: Self.words(error, item.blob), images: users)]
        }
        defer { try? area.directory.removeTree(name) }
        let fresh = try area.directory.directory(name)
        return try compare(fresh, layers, object, users, madeAfter: start)
    }

    private func compare(
        _ fresh: Directory,
        _ layers: Directory,
        _ object: StoreDamage.Object,
        _ users: [ImageRecord],
        madeAfter start: Int64?
    ) throws -> [StoreDamage] {
        guard case .layer(let digest) = object else { return [] }
        let wanted = try TreeFingerprint(fresh)
        let differences: [String]
        do {
            differences = wanted.differences(
                in: try TreeFingerprint(try layers.directory(digest.hex)),
                madeAfter: start
            )
        } catch {
            // Damage can also be that something cannot be read any more.
            differences = ["\(error)"]
        }
        if differences.isEmpty { return [] }
        return [StoreDamage(object: object, problem: differences.joined(separator: ", "), images: users)]
    }

    /// Whether a blob can be opened without waiting for somebody.
    private func isRegular(_ blob: Digest) -> Bool { store.blobSize(blob) != nil }

    private func checkBlob(_ blob: Digest) -> StoreDamage? {
        do {
            guard isRegular(blob) else { throw RktError(.notFound, "it is missing, or not a file") }
            let file = try store.openBlob(blob)
            let stream = ContentStream(
                source: file,
                name: "blob \(blob)",
                algorithms: (blob.algorithm, []),
                limits: store.limits,
                progress: progress?.sink
            )
            let found = try stream.run(Compression.none).digest
            guard found == blob else { throw RktError(.digestMismatch, "it has the digest \(found)") }
            return nil
        } catch {
            return StoreDamage(object: .blob(blob), problem: Self.words(error, blob), images: users(of: blob))
        }
    }

    /// The layers that a path whitelist has made smaller, against such copies made afresh.
    private func checkLimited(sparing damaged: Set<StoreDamage.Object>) throws -> [StoreDamage] {
        guard let area else { return [] }
        let layers = try store.part("layers")
        var users: [LayerUse: [ImageRecord]] = [:]
        for image in images where image.kind == .appc {
            // What cannot be read is damaged, and was found to be; what is not there cannot be damaged.
            for use in (try? store.layerUses(of: image)) ?? [] where !use.whitelists.isEmpty {
                users[use, default: []].append(image)
            }
        }
        var damages: [StoreDamage] = []
        for (use, images) in users.sorted(by: { $0.key.directoryName < $1.key.directoryName })
        where layers.contains(use.directoryName.hex) && layers.contains(use.layer.diffID.hex) {
            guard !damaged.contains(.layer(use.layer.diffID)), !damaged.contains(.blob(use.layer.blob)) else {
                continue
            }
            let name = try store.copyLimited(use, area)
            defer { try? area.directory.removeTree(name) }
            let fresh = try area.directory.directory(name)
            damages += try compare(fresh, layers, .layer(use.directoryName), images, madeAfter: nil)
        }
        return damages
    }

    /// What is wrong, for a sentence that has named the blob already.
    private static func words(_ error: any Error, _ blob: Digest) -> String {
        var innermost: any Error = error
        while let cause = (innermost as? RktError)?.cause as? RktError { innermost = cause }
        let name = "blob \(blob) "
        let text = "\(innermost)"
        return text.hasPrefix(name) ? "it \(text.dropFirst(name.count))" : text
    }
}
