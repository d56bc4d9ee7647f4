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
    /// Removes an image, with all blobs and unpacked layers that neither another image, nor a pod, nor anybody at work
    /// needs.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - inUseLayers: The diff IDs of the layers that pods use; asked when nobody can begin to use another one.
    /// - Returns: What was removed.
    /// - Throws: ``RktError`` with `notFound` when it is gone, `permissionDenied` for another user's.
    @discardableResult
    public func remove(
        _ record: ImageRecord,
        inUseLayers: @autoclosure () throws -> Set<Digest>
    ) throws -> GarbageReport {
        try unlist(record)
        var report = GarbageReport(removedImages: [record.id])
        // Only root may say that nobody needs a thing.
        guard geteuid() == 0 || StoreMembers.isOwn(directory) else { return report }
        try sweep(inUseLayers, &report)
        return report
    }

    /// Removes images that were not used for a while, and what belongs to no image. What somebody uses just now stays,
    /// and does not keep the rest from going.
    ///
    /// - Parameters:
    ///   - grace: How long an image stays after its last use.
    ///   - inUseLayers: The diff IDs of the layers that pods use; asked when nobody can begin to use another one.
    ///   - inUseImages: The IDs of the images that pods use.
    /// - Returns: What was removed.
    /// - Throws: ``RktError`` with `permissionDenied` when the store may not be changed.
    public func collectGarbage(
        grace: Duration,
        inUseLayers: @autoclosure () throws -> Set<Digest>,
        inUseImages: Set<String>
    ) throws -> GarbageReport {
        guard geteuid() == 0 || StoreMembers.isOwn(directory) else {
            throw RktError(.permissionDenied, "collecting images in \(root) needs root")
        }
        var report = GarbageReport()
        WorkArea.removeLeftovers(in: try part("tmp"))
        let (seconds, fraction) = grace.components
        let span = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let limit = span.overflow ? Int64.min : ImageStore.now() - span.partialValue - fraction / 1_000_000_000
        for record in try list() where !inUseImages.contains(record.id) {
            do {
                guard try lastUsed(record) <= limit else { continue }
                try unlist(record)
                report.removedImages.append(record.id)
            } catch let error as RktError where error.code == .notFound {
                // Removed by another.
            }
        }
        try sweep(inUseLayers, &report)
        return report
    }

    private func unlist(_ record: ImageRecord) throws {
        let images = try part("images")
        try images.remove("\(record.id).json")
        try images.synchronize()
        crashPoint("unlisted")
    }

    // MARK: Sweeping

    /// Removes the blobs and unpacked layers that nobody needs.
    ///
    /// The order makes it safe: first the exclusive locks on all that may go, then the question who needs it. Whoever
    /// relied on something before is on record by now, or holds it, so that it was not to be had; whoever comes later
    /// waits for the lock and then finds it gone.
    private func sweep(_ inUseLayers: () throws -> Set<Digest>, _ report: inout GarbageReport) throws {
        let work = try WorkArea(in: try part("tmp"))
        let layers = try part("layers")
        var removed: [String] = []
        do {
            let claim = try RemovalClaim(directory)
            let listed = try needed()
            let names = try layers.names()
            let blobs = try claim.take(try unneededBlobs(listed))
            let unpacked = try claim.take(names.compactMap(Self.layerDigest).filter { !listed.contains($0) })
            let needed = try needed().union(try inUseLayers())
            try removeBlobs(blobs.subtracting(needed), &report)
            for name in names {
                let digest = Self.layerDigest(name)
                if let digest, !unpacked.contains(digest) || needed.contains(digest) { continue }
                // Away first: half a layer must not have a layer's name.
                try layers.rename(name, to: name, in: work.directory)
                crashPoint("moved layer away")
                removed.append(name)
                if let digest { report.removedLayers.append(digest) }
            }
            withExtendedLifetime(claim) {}
        }
        // Nobody waits for the rest.
        for name in removed {
            let layer = try work.directory.directory(name)
            report.bytesFreed += max(0, rkt_disk_usage(layer.descriptor.rawValue)) + (try blocks(of: layer))
            try work.directory.removeTree(name)
        }
    }

    /// The blobs and layers of all images, and the copies of layers that are limited to some paths.
    private func needed() throws -> Set<Digest> {
        try list().reduce(into: []) { needed, record in
            needed.formUnion(record.blobs.union(record.layers.map(\.diffID)))
            guard record.kind == .appc else { return }
            // What an image that is not whole would have of them, nobody can use.
            needed.formUnion(((try? layerUses(of: record)) ?? []).map(\.directoryName))
        }
    }

    private static func layerDigest(_ name: String) -> Digest? {
        try? Digest(name.utf8.count == 64 ? .sha256 : .sha512, hex: name)
    }

    /// Removes what is no blob at all, and returns the blobs that are not needed.
    private func unneededBlobs(_ needed: Set<Digest>) throws -> [Digest] {
        var unneeded: [Digest] = []
        for algorithm in Digest.Algorithm.allCases {
            let directory = try blobDirectory(algorithm)
            for name in try directory.names() {
                guard let digest = try? Digest(algorithm, hex: name) else {
                    // Whatever it is, the rest goes.
                    try? directory.removeTree(name)
                    continue
                }
                if !needed.contains(digest) { unneeded.append(digest) }
            }
        }
        return unneeded
    }

    private func removeBlobs(_ blobs: Set<Digest>, _ report: inout GarbageReport) throws {
        for digest in blobs.sorted() {
            let directory = try blobDirectory(digest.algorithm)
            // A member may have taken it back.
            guard let path = try? directory.open(digest.hex, flags: RKT_O_PATH | O_NOFOLLOW) else { continue }
            var status = stat()
            let raw = path.rawValue
            try system("looking at blob \(digest)") { fstat(raw, &status) }
            guard (try? directory.removeTree(digest.hex)) != nil else { continue }
            // Another name keeps the content.
            if status.st_nlink == 1 { report.bytesFreed += Int64(status.st_blocks) * 512 }
            crashPoint("removed blob")
        }
    }

    /// The space of a directory itself, in bytes.
    private func blocks(of directory: Directory) throws -> Int64 {
        var status = stat()
        let raw = directory.descriptor.rawValue
        try system("looking at \(directory.path)") { fstat(raw, &status) }
        return Int64(status.st_blocks) * 512
    }

    // MARK: Size

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
}
