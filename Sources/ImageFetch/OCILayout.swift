internal import Diagnostics
internal import ImageStore
internal import LinuxOS
internal import Manifests

/// An OCI image layout (OCI image specification, image layout): its index as it was when it was opened.
struct OCILayout {
    private let parts: Directory
    /// What it is, for errors.
    let name: String
    /// What it has: images, and what belongs to them.
    let index: OCI.Index
    /// What of that has no name, and says itself what it is about: the manifests, and the digests of what they refer to.
    private(set) var referring: [(referrer: OCI.Descriptor, subject: Digest)] = []

    private struct Version: Decodable {
        let imageLayoutVersion: String
    }

    /// How many documents are looked into to find out whether they are about an image. Their sizes are those of signatures.
    private static let lookLimit = 64
    private static let lookBytes = 1 << 20

    /// Reads the index.
    ///
    /// - Parameters:
    ///   - parts: The layout's files.
    ///   - name: What it is, for errors.
    ///   - limit: The most bytes of the index.
    /// - Throws: `RktError` with `unsupported` for another version, `invalidData` for what is no index.
    init(_ parts: Directory, name: String, limit: Int) throws {
        self.parts = parts
        self.name = name
        let layoutName = "oci-layout of \(name)"
        let layout = try StrictJSON.decode(
            Version.self,
            from: try parts.read("oci-layout", limit: limit),
            name: layoutName
        )
        guard layout.imageLayoutVersion.hasPrefix("1.") else {
            throw RktError(.unsupported, "\(name) has the layout version \(layout.imageLayoutVersion), not 1")
        }
        let indexName = "index.json of \(name)"
        let document = try OCI.Document(try parts.read("index.json", limit: limit), mediaType: nil, name: indexName)
        guard case .index(let index) = document else {
            throw RktError(.invalidData, "\(indexName) is not an image index")
        }
        self.index = index
        // One alone refers to nothing that is here.
        if index.manifests.count > 1 { referring = findReferring() }
    }

    /// Where content is.
    ///
    /// - Parameter digest: Its digest.
    /// - Returns: Its path in a layout.
    static func path(of digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    /// The image that is wanted.
    ///
    /// - Parameters:
    ///   - platform: What it is to run on.
    ///   - reference: Its name in the layout; nil when it is the only one.
    /// - Returns: What leads to it.
    /// - Throws: `RktError` with `notFound` when there is none, `invalidArgument` when several could be meant.
    func image(for platform: OCI.Platform, reference: String?) throws -> OCI.Descriptor {
        var images = index
        let about = Set(referring.map(\.referrer.digest))
        images.manifests.removeAll { about.contains($0.digest) }
        return try images.select(for: platform, reference: reference, name: "index.json of \(name)")
    }

    private func findReferring() -> [(referrer: OCI.Descriptor, subject: Digest)] {
        let candidates = index.manifests.filter {
            OCI.MediaType.isManifest($0.mediaType) && $0.names.isEmpty && $0.platform == nil && $0.cosignKind == nil
                && $0.size <= Self.lookBytes && SignatureManifest.mayBe($0.artifactType, $0.annotations)
        }
        // Tools add to the end.
        return candidates.suffix(Self.lookLimit).compactMap { candidate in
            guard let bytes = try? document(candidate, limit: Self.lookBytes),
                let referrer = try? StrictJSON.decode(Referrer.self, from: bytes, name: "it"),
                let subject = referrer.subject
            else { return nil }
            return (candidate, subject.digest)
        }
    }

    private struct Referrer: Decodable {
        let subject: OCI.Descriptor?
    }

    /// A document, if it is what its descriptor says.
    ///
    /// - Parameters:
    ///   - descriptor: Which.
    ///   - limit: The most bytes.
    /// - Returns: Its bytes.
    /// - Throws: `RktError` with `digestMismatch` when it is another, `limitExceeded`, `notFound`.
    func document(_ descriptor: OCI.Descriptor, limit: Int) throws -> [UInt8] {
        let bytes = try content(descriptor.digest, limit: limit)
        let found = try ContentHash.digest(descriptor.digest.algorithm, of: bytes)
        guard bytes.count == descriptor.size, found == descriptor.digest else {
            throw RktError(
                .digestMismatch,
                "\(descriptor.digest) of \(name) has \(bytes.count) bytes and the digest \(found)"
            )
        }
        return bytes
    }

    /// Content as it is there, not verified.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - limit: The most bytes.
    /// - Returns: Its bytes.
    /// - Throws: `RktError` with `notFound`, `limitExceeded`, `invalidData` for what is no file.
    func content(_ digest: Digest, limit: Int) throws -> [UInt8] {
        try parts.read(Self.path(of: digest), limit: limit)
    }
}
