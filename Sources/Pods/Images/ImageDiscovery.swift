internal import Diagnostics
internal import ImageFetch
internal import Manifests

/// What an image's name leads to, as `rkt image discover` shows it.
public struct ImageDiscovery: Sendable {
    /// A place of the image.
    public struct Endpoint: Sendable {
        /// The URL of the ACI.
        public let archive: String
        /// The URL of its signature.
        public let signature: String
        /// The page that says so; nil where it is where the name alone says.
        public let page: String?
    }

    /// A place of a key.
    public struct Key: Sendable {
        /// The URL of the key.
        public let location: String
        /// The page that says so.
        public let page: String
    }

    /// A page that was asked in vain.
    public struct Attempt: Sendable {
        /// The page.
        public let page: String
        /// What is wrong with it.
        public let problem: String
    }

    /// The image, with the labels that were filled in.
    public let name: String
    /// The places of the image; the first one counts.
    public let endpoints: [Endpoint]
    /// The places of keys.
    public let keys: [Key]
    /// What was asked in vain, in order.
    public let attempts: [Attempt]

    /// Finds out.
    ///
    /// - Parameters:
    ///   - text: The name: `NAME[:VERSION][,LABEL=VALUE…]`.
    ///   - insecure: What is not to be enforced.
    ///   - credentials: What to show to servers.
    /// - Throws: ``RktError`` with `invalidArgument` for what is no such name.
    public init(_ text: String, insecure: InsecureOptions, credentials: CredentialSettings) throws {
        guard case .appc(let asked) = try ImageReference(text, acceptsID: false, exists: { _ in false }) else {
            throw RktError(
                .invalidArgument,
                "\(text.debugDescription) is no name of an image: write NAME[:VERSION][,LABEL=VALUE…]"
            )
        }
        let full = try ArchiveAccess.full(asked)
        let report = try AppcDiscovery(settings: HTTPSettings(insecure), credentials: credentials).report(on: full)
        name = "\(full)"
        endpoints = report.archives.map { Endpoint(archive: $0.archive, signature: $0.signature, page: $0.page) }
        keys = report.keys.map { Key(location: $0.location, page: $0.page) }
        attempts = report.attempts.map { Attempt(page: $0.page, problem: $0.problem) }
    }
}
