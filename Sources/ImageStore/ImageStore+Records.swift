internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
internal import LinuxOS
public import Manifests

extension ImageStore {
    /// All images, the oldest import first. Those that other users than root and oneself have brought are among them,
    /// as not verified and coming from nowhere (``ImageRecord/isTrusted(by:)``).
    ///
    /// - Returns: Their records.
    /// - Throws: ``RktError`` with `invalidData` naming a record that cannot be read.
    public func list() throws -> [ImageRecord] {
        let images = try part("images")
        return try images.names().filter { !$0.hasPrefix(".") && $0.hasSuffix(".json") }
            .compactMap { try record($0, in: images) }
            .sorted { ($0.importedAt, $0.id) < ($1.importedAt, $1.id) }
    }

    /// Finds the image that a user means.
    ///
    /// - Parameter text: The beginning of an ID (`sha512-xx…`, `sha256-xx…`), a name as it was imported, or
    ///   `NAME[:VERSION][,LABEL=VALUE…]`. Without a version one called `latest` wins, else the newest import.
    /// - Returns: The image's record.
    /// - Throws: ``RktError`` with `notFound`, or `invalidArgument` for an ambiguous ID.
    public func image(matching text: String) throws -> ImageRecord {
        let all = try list()
        let records = all.filter(\.isTrusted)
        let dashed = text.hasPrefix("sha256:") ? "sha256-" + text.dropFirst(7) : text
        if let prefix = try? ImageIDPrefix(dashed) {
            func matches(_ records: [ImageRecord]) -> [ImageRecord] {
                records.filter { $0.id.hasPrefix(prefix.description) }
            }
            // Nobody else can make ambiguous what was unique.
            let own = matches(records)
            let matches = own.isEmpty ? matches(all) : own
            guard matches.count <= 1 else {
                throw RktError(.invalidArgument, "ambiguous image ID: \(text.debugDescription)")
            }
            guard let match = matches.first else {
                throw RktError(.notFound, "no image IDs found for \(text.debugDescription) in \(root)")
            }
            return match
        }
        if let match = named(text, in: records) { return match }
        // A name is what anybody can give to anything.
        if let other = named(text, in: all) {
            throw RktError(
                .notFound,
                "image \(text.debugDescription) in \(root) was fetched by user \(other.owner ?? 0), whose names do not count: "
                    + "use its id \(other.id)"
            )
        }
        throw RktError(.notFound, "no image named \(text.debugDescription) in \(root)")
    }

    /// Finds the image an appc name with labels means.
    ///
    /// - Parameter name: The name and the labels that must be equal.
    /// - Returns: The image's record.
    /// - Throws: ``RktError`` with `notFound`.
    public func image(named name: AppcImageName) throws -> ImageRecord {
        guard let match = ImageStore.appc(name, in: try list().filter(\.isTrusted)) else {
            throw RktError(.notFound, "no image named \(name) in \(root)")
        }
        return match
    }

    /// Finds the image that a reference to a registry has led to, the last time.
    ///
    /// - Parameters:
    ///   - reference: `HOST/NAME:TAG` or `HOST/NAME@DIGEST`.
    ///   - verified: Whether it counts only if somebody vouched for it then.
    /// - Returns: The image's record; nil when there is none.
    /// - Throws: ``RktError`` when the records cannot be read.
    public func image(fetchedFrom reference: String, verified: Bool) throws -> ImageRecord? {
        let match = try list().last { ($0.sources ?? []).contains { $0.reference == reference } }
        guard let match,
            !verified || match.sources?.contains(where: { $0.reference == reference && $0.isVerified }) == true
        else { return nil }
        return match
    }

    private func named(_ text: String, in records: [ImageRecord]) -> ImageRecord? {
        if let match = records.last(where: { $0.names.contains(text) }) { return match }
        if let name = try? AppcImageName(text), let match = ImageStore.appc(name, in: records) { return match }
        guard let wanted = try? DockerReference(text) else { return nil }
        let known = records.flatMap { record in
            record.names.compactMap { name in (try? DockerReference(name)).map { (record: record, name: $0) } }
        }
        if let match = known.last(where: { $0.name == wanted }) { return match.record }
        let sameRepository = known.last {
            $0.name.registry == wanted.registry && $0.name.repository == wanted.repository
        }
        let hasNoTag = wanted.digest == nil && !(text.split(separator: "/").last ?? "").contains(":")
        return hasNoTag ? sameRepository?.record : nil
    }

    static func appc(_ name: AppcImageName, in records: [ImageRecord]) -> ImageRecord? {
        let matches = records.filter { record in
            record.kind == .appc
                && record.names.contains { $0 == name.name.description || $0.hasPrefix("\(name.name):") }
                && name.labels.allSatisfy { record.labels.contains($0) }
        }
        let latest = NameValue(name: "version", value: "latest")
        if name.label("version") == nil,
            let match = matches.last(where: { ($0.sources ?? []).contains { $0.isLatest == true } })
                ?? matches.last(where: { $0.labels.contains(latest) })
        {
            return match
        }
        return matches.last
    }

    /// Reads a record. What other users than root have written may be anything: what is no record of theirs is passed
    /// over.
    func record(_ file: String, in images: Directory) throws -> ImageRecord? {
        let path = images.path(of: file)
        do {
            let opened = try images.open(file, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
            let status = try FileStatus(of: opened, name: path)
            do {
                return try record(opened, status, file, path)?.seen(by: geteuid())
            } catch  where !Self.isTrusted(owner: status.uid, by: geteuid()) {
                return nil
            }
        } catch let error as RktError where error.errno == ENOENT {
            // Removed since the directory was read.
            return nil
        } catch let error as RktError where [ELOOP, ENXIO].contains(error.errno) {
            // A link or a socket: no version of this program makes one.
            return nil
        }
    }

    private func record(
        _ opened: borrowing OwnedFD,
        _ status: FileStatus,
        _ file: String,
        _ path: String
    ) throws -> ImageRecord? {
        guard status.kind == .regular else { throw RktError(.invalidData, "\(path) is not a regular file") }
        let bytes = try opened.readAll(limit: limits.manifestBytes, name: path)
        var record = try StrictJSON.decode(ImageRecord.self, from: bytes, name: path)
        guard record.format == 1 else {
            throw RktError(
                .unsupported,
                "\(path) has the format \(record.format), this program knows 1: use a newer one"
            )
        }
        guard "\(record.id).json" == file else {
            throw RktError(.invalidData, "\(path) is the record of another image, \(record.id)")
        }
        record.owner = status.uid
        return record
    }

    /// Writes a record so that it outlives a power loss; all that it names must be there already.
    func write(_ record: ImageRecord) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        var record = record
        // The file itself says it.
        record.owner = nil
        let bytes = try [UInt8](encoder.encode(record))
        // What could not be read again would keep all others from being listed.
        guard bytes.count <= limits.manifestBytes else {
            throw RktError(.limitExceeded, "image \(record.id) has too many names or labels to be kept")
        }
        let images = try part("images")
        try makeWay(for: "\(record.id).json", in: images)
        try images.write("\(record.id).json", bytes, durable: true)
    }

    // MARK: Use

    /// Notes that an image is used now. It costs nothing that waits for a disk, and is only a hint for
    /// ``collectGarbage(grace:inUseLayers:inUseImages:)``: users without the right to write are not counted.
    ///
    /// - Parameter record: The image.
    public func markUsed(_ record: ImageRecord) {
        guard let images = try? part("images") else { return }
        utimensat(images.descriptor.rawValue, "\(record.id).json", nil, AT_SYMLINK_NOFOLLOW)
    }

    /// When an image was last used.
    ///
    /// - Parameter record: The image.
    /// - Returns: Nanoseconds since the epoch.
    /// - Throws: ``RktError`` with `notFound` when the image is gone.
    public func lastUsed(_ record: ImageRecord) throws -> Int64 {
        try part("images").status(of: "\(record.id).json").modified
    }

    // MARK: Content

    /// The manifest of an image, byte for byte.
    ///
    /// - Parameter record: The image.
    /// - Returns: The JSON text.
    /// - Throws: ``RktError`` with `digestMismatch` when it is damaged.
    public func manifestJSON(of record: ImageRecord) throws -> [UInt8] {
        try withContext("image \(record.id)") { try readBlob(record.manifest) }
    }

    /// How to run an image.
    ///
    /// - Parameter record: The image.
    /// - Returns: The configuration in one form for all kinds of images.
    /// - Throws: ``RktError`` with `digestMismatch` or `invalidData`.
    public func config(of record: ImageRecord) throws -> ImageConfig {
        let name = "the configuration of image \(record.id)"
        guard let config = record.config else {
            return ImageConfig(try AppcImageManifest.parse(try manifestJSON(of: record), name: name))
        }
        return try ImageConfig(try OCI.Image.parse(try readBlob(config), name: name), name: name)
    }
}
