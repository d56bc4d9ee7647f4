internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests

/// Reads archives to their ends and keeps nothing of them. Root unpacks them as an image is unpacked, which finds all
/// that is wrong; others make plain files of them.
package struct ArchiveCheck: Sendable {
    private let area: WorkArea
    private let limits: ImageLimits

    /// Prepares checks.
    ///
    /// - Parameters:
    ///   - area: Where to unpack to.
    ///   - limits: The limits.
    package init(area: WorkArea, limits: ImageLimits) {
        self.area = area
        self.limits = limits
    }

    /// What a check has found out.
    package struct Outcome {
        /// Sizes and digests; nil when the file could not be read or decompressed to its end.
        package var result: ContentStream.Result?
        /// What the archive says about itself; nil when it is none.
        package var report: TarUnpacker.Report?
        /// What is wrong.
        package var problems: [any Error] = []
    }

    /// Makes an empty directory that is gone with the area.
    ///
    /// - Returns: The directory.
    /// - Throws: ``RktError`` when it cannot be made.
    package func scratch() throws -> Directory {
        let name = area.newName("scratch")
        try area.directory.makeDirectory(name, mode: 0o700)
        return try area.directory.directory(name)
    }

    /// Reads an archive.
    ///
    /// - Parameters:
    ///   - file: The file, read from its start.
    ///   - mode: What the archive is; others than root have plain files made of layers and roots.
    ///   - directory: Where it is unpacked to; nil for a place that is emptied at once.
    ///   - name: What it is, for problems.
    ///   - algorithms: The hash functions for the file and for the decompressed stream.
    ///   - compression: The file's compression; nil to go by the first bytes.
    /// - Returns: What was found out.
    /// - Throws: ``RktError`` when there is no place to unpack to.
    package func run(
        _ file: borrowing OwnedFD,
        as mode: TarUnpacker.Mode,
        into directory: Directory? = nil,
        name: String,
        algorithms: (file: Digest.Algorithm, content: [Digest.Algorithm]),
        compression: Compression? = nil
    ) throws -> Outcome {
        let raw = file.rawValue
        try system("reading \(name)") { lseek(raw, 0, SEEK_SET) }
        let place = area.newName("check")
        if directory == nil { try area.directory.makeDirectory(place, mode: 0o700) }
        defer { if directory == nil { try? area.directory.removeTree(place) } }
        let isWhole = geteuid() == 0 || mode == .manifest || mode == .probe
        let unpacker = try TarUnpacker(
            isWhole ? mode : .plain,
            into: try directory ?? area.directory.directory(place),
            name: name,
            limits: limits
        )
        let feed = TarFeed(unpacker)
        let stream = ContentStream(source: file, name: name, algorithms: algorithms, limits: limits)
        var outcome = Outcome()
        do {
            outcome.result = try stream.run(compression) { try feed.take($0) }
        } catch {
            outcome.problems.append(error)
        }
        do {
            outcome.report = try feed.finish()
        } catch {
            // What was damaged breaks the archive too, which says nothing new.
            if outcome.problems.isEmpty { outcome.problems.append(error) }
        }
        // What is no tar at all does not end like one either.
        if let result = outcome.result, outcome.problems.isEmpty, !result.endsWithZeros, result.contentSize > 0 {
            outcome.problems.append(RktError(.invalidData, "\(name) is cut off: a tar ends with zeros"))
        }
        return outcome
    }

    /// The digest of a file as it is.
    ///
    /// - Parameters:
    ///   - file: The file, read from its start.
    ///   - algorithm: The hash function.
    ///   - name: What it is, for errors.
    /// - Returns: The digest and the size.
    /// - Throws: ``RktError`` when it cannot be read.
    package func digest(
        of file: borrowing OwnedFD,
        _ algorithm: Digest.Algorithm,
        name: String
    ) throws -> (Digest, Int64) {
        let raw = file.rawValue
        try system("reading \(name)") { lseek(raw, 0, SEEK_SET) }
        let stream = ContentStream(source: file, name: name, algorithms: (algorithm, []), limits: limits)
        let result = try stream.run(Compression.none)
        return (result.digest, result.size)
    }
}
