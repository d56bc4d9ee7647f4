internal import Diagnostics
internal import Glibc
public import Manifests

extension ImageRecord {
    /// How long what a server sent may be used without asking it again (RFC 9111).
    public struct Freshness: Sendable, Hashable, Codable {
        /// The server's name for this version of it; nil when it gave none.
        public var tag: String?
        /// For how many seconds nobody has to ask again.
        public var seconds: Int64
        /// When the server was asked, in nanoseconds since the epoch.
        public var checkedAt: Int64

        /// Makes a note of now.
        ///
        /// - Parameters:
        ///   - tag: The server's name for this version.
        ///   - seconds: For how many seconds nobody has to ask again.
        public init(tag: String?, seconds: Int64) {
            self.tag = tag
            self.seconds = seconds
            checkedAt = ImageStore.now()
        }

        /// Whether nobody has to ask now; when the clock went back, somebody has.
        public var isFresh: Bool {
            let age = ImageStore.now() - checkedAt
            return age >= 0 && age / 1_000_000_000 < seconds
        }
    }
}

extension ImageStore {
    /// Finds the image that an appc name with labels means, among those that somebody vouched for.
    ///
    /// - Parameters:
    ///   - name: The name and the labels that must be equal.
    ///   - verified: Whether only images count that somebody vouched for.
    /// - Returns: The image's record; nil when there is none.
    /// - Throws: ``RktError`` when the records cannot be read.
    public func image(named name: AppcImageName, verified: Bool) throws -> ImageRecord? {
        ImageStore.appc(name, in: try list().filter { $0.isTrusted && (!verified || $0.verification.isVerified) })
    }

    /// Notes what a server has said of an image that is here already.
    ///
    /// - Parameters:
    ///   - source: What has led to it, and what the server says.
    ///   - record: The image.
    /// - Returns: The record as written.
    /// - Throws: ``RktError`` when it cannot be written.
    package func note(_ source: ImageRecord.Source, of record: ImageRecord) throws -> ImageRecord {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        // Others may have changed it, or removed it: then there is nothing to note.
        guard var record = try list().first(where: { $0.id == record.id && $0.isTrusted }),
            geteuid() == 0 || record.owner == geteuid()
        else { return record }
        record.sources = [source] + (record.sources ?? []).filter { $0.reference != source.reference }
        try write(record)
        return record
    }
}
