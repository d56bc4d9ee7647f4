internal import CLinux
internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests

/// What a garbage collection did.
public struct GarbageReport: Sendable, Hashable {
    /// The IDs of the images that were removed.
    public var removedImages: [String] = []
    /// The unpacked layers that were removed.
    public var removedLayers: [Digest] = []
    /// The space that was freed, in bytes.
    public var bytesFreed: Int64 = 0
}

extension ImageStore {
    /// Removes an image. Its blobs go at once when nobody uses the store, else with the next garbage collection; its
    /// unpacked layers go with the next garbage collection.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - inUse: Whether a pod uses it.
    /// - Throws: ``RktError`` with `busy` when it is in use, `notFound` when it is gone.
    public func remove(_ record: ImageRecord, inUse: (ImageRecord) -> Bool) throws {
        guard !inUse(record) else { throw RktError(.busy, "image \(record.id) is used by a pod: remove that first") }
        try unlist(record)
        guard let lease = try exclusive() else { return }
        try withExtendedLifetime(lease) { _ = try sweepBlobs() }
    }

    /// Removes images that were not used for a while, and what belongs to no image.
    ///
    /// - Parameters:
    ///   - grace: How long an image stays after its last use.
    ///   - inUseLayers: The diff IDs of the layers that pods use.
    ///   - inUseImages: The IDs of the images that pods use.
    /// - Returns: What was removed.
    /// - Throws: ``RktError`` with `busy` while others add to the store or use it.
    public func collectGarbage(
        grace: Duration,
        inUseLayers: Set<Digest>,
        inUseImages: Set<String>
    ) throws -> GarbageReport {
        guard let lease = try exclusive() else {
            throw RktError(.busy, "the image store \(root) is in use: try again later")
        }
        defer { withExtendedLifetime(lease) {} }
        var report = GarbageReport()
        let temporary = try part("tmp")
        let work = try WorkArea(in: temporary)
        WorkArea.removeLeftovers(in: temporary)
        let (seconds, fraction) = grace.components
        let span = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let limit = span.overflow ? Int64.min : ImageStore.now() - span.partialValue - fraction / 1_000_000_000
        for record in try list() where !inUseImages.contains(record.id) {
            guard try lastUsed(record) <= limit else { continue }
            try unlist(record)
            report.removedImages.append(record.id)
        }
        report.bytesFreed += try sweepBlobs()
        try sweepLayers(inUseLayers, &report, work)
        return report
    }

    private func unlist(_ record: ImageRecord) throws {
        let images = try part("images")
        try images.remove("\(record.id).json")
        try images.synchronize()
        crashPoint("unlisted")
    }

    /// Removes the blobs that no listed image needs.
    private func sweepBlobs() throws -> Int64 {
        let needed = try list().reduce(into: Set<Digest>()) { $0.formUnion($1.blobs) }
        var freed: Int64 = 0
        for algorithm in Digest.Algorithm.allCases {
            let directory = try blobDirectory(algorithm)
            for name in try directory.names() {
                if let digest = try? Digest(algorithm, hex: name), needed.contains(digest) { continue }
                freed += try directory.status(of: name).size
                try directory.remove(name)
                crashPoint("removed blob")
            }
        }
        return freed
    }

    /// Removes the unpacked layers that neither a pod nor a listed image needs.
    private func sweepLayers(_ inUse: Set<Digest>, _ report: inout GarbageReport, _ work: WorkArea) throws {
        // A layer's directory belongs to root alone; others can still collect what is theirs.
        guard let layers = try? part("layers"), let names = try? layers.names() else { return }
        let needed = Set(try list().flatMap(\.layers).map(\.diffID)).union(inUse)
        for name in names {
            let digest = try? Digest(name.utf8.count == 64 ? .sha256 : .sha512, hex: name)
            if let digest, needed.contains(digest) { continue }
            let layer = try layers.directory(name)
            report.bytesFreed += max(0, rkt_disk_usage(layer.descriptor.rawValue))
            // Away first: half a layer must not have a layer's name.
            try layers.rename(name, to: name, in: work.directory)
            crashPoint("moved layer away")
            try work.directory.removeTree(name)
            if let digest { report.removedLayers.append(digest) }
        }
    }

    // MARK: Size and health

    /// The space that the store takes, blobs and unpacked layers, in bytes.
    ///
    /// - Returns: The bytes.
    /// - Throws: ``RktError`` when it may not be read.
    public func sizeOnDisk() throws -> Int64 {
        let raw = directory.descriptor.rawValue
        return try system("adding up \(root)") { rkt_disk_usage(raw) }
    }

    /// The space that an image takes, its blobs and its unpacked layers, in bytes; shared parts count for each image.
    ///
    /// - Parameter record: The image.
    /// - Returns: The bytes.
    /// - Throws: ``RktError`` when it may not be read.
    public func sizeOnDisk(of record: ImageRecord) throws -> Int64 {
        var total = record.blobs.reduce(0) { $0 + (blobSize($1) ?? 0) }
        guard let layers = try? part("layers") else { return total }
        for diffID in Set(record.layers.map(\.diffID)) {
            guard let layer = try? layers.directory(diffID.hex) else { continue }
            let raw = layer.descriptor.rawValue
            total += try system("adding up \(layer.path)") { rkt_disk_usage(raw) }
        }
        return total
    }

    /// Reads all blobs of an image again and compares their digests.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - progress: Hears how far it is.
    /// - Throws: ``RktError`` with `digestMismatch` naming the blob, `notFound` for one that is missing.
    public func verify(_ record: ImageRecord, progress: ProgressSink? = nil) throws {
        let limits = self.limits
        _ = try concurrently(record.blobs.sorted()) { blob in
            let name = "image \(record.id), blob \(blob)"
            let file = try self.openBlob(blob)
            let stream = ContentStream(
                source: file,
                name: name,
                algorithms: (blob.algorithm, []),
                limits: limits,
                progress: progress
            )
            guard try stream.run(Compression.none).digest == blob else {
                throw RktError(.digestMismatch, "\(name) is damaged: remove the image and fetch it again")
            }
        }
    }
}
