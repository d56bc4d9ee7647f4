internal import Diagnostics
internal import ImageFetch

/// Whose signatures of images count: the operations of `rkt trust`.
public struct KeyTrust: Sendable {
    /// The images that a key is for.
    public enum Scope: Sendable, Equatable {
        /// All.
        case all
        /// Those whose names begin so.
        case prefix(String)
    }

    private let keys: TrustedKeys
    private let source: KeySource
    private let discovery: any KeyDiscovery

    /// Opens the key store.
    ///
    /// - Parameters:
    ///   - directories: The system's configuration directory, and this machine's, where keys are added.
    ///   - insecure: What is not to be enforced.
    ///   - allowsHTTP: Whether keys may come unencrypted.
    /// - Throws: ``RktError`` with `invalidArgument` where signatures do not count.
    public init(directories: [String], insecure: InsecureOptions, allowsHTTP: Bool) throws {
        guard !insecure.contains(.image) else {
            throw RktError(
                .invalidArgument,
                "could not get the keystore: with --insecure-options=image no signature is checked, and no key counts"
            )
        }
        hasAnonymousServers = insecure.contains(.tls) && !insecure.contains(.pubkey)
        // Plain http for images is no word on keys.
        var settings = HTTPSettings(insecure)
        settings.allowsHTTP = allowsHTTP || insecure.contains(.pubkey)
        keys = TrustedKeys(directories: directories)
        source = KeySource(settings: settings)
        discovery = try AppcDiscovery(settings: settings)
    }

    /// Whether servers need not show who they are, and keys of such do not count.
    private let hasAnonymousServers: Bool

    /// A key that somebody is to look at.
    public struct Candidate: Sendable {
        /// Where it came from.
        public let location: String
        /// Whether it is an OpenPGP key; else it is one of sigstore.
        public let isOpenPGP: Bool
        /// Its fingerprint, lower-case hex.
        public let fingerprint: String
        /// The fingerprints of its subkeys.
        public let subkeys: [String]
        /// Whom it says it belongs to; what it is, where it does not say that.
        public let identities: [String]
        /// Why its signatures would not count, if they would not.
        public let problem: String?
        let key: TrustedKey
    }

    /// Gets a key.
    ///
    /// - Parameter location: A path, or an `http` or `https` URL.
    /// - Returns: The key, which is not trusted yet.
    /// - Throws: ``RktError`` naming the key and why it cannot be had or is none.
    public func candidate(_ location: String) throws -> Candidate {
        guard !hasAnonymousServers || !location.contains("://") else {
            throw RktError(
                .permissionDenied,
                "with --insecure-options=tls anybody could send key \(location): if that is meant, name pubkey there too"
            )
        }
        let key = try source.key(location)
        let review = try KeyReview(key)
        return Candidate(
            location: location,
            isOpenPGP: key.kind == .openPGP,
            fingerprint: key.fingerprint,
            subkeys: key.subkeyFingerprints,
            identities: key.identities,
            problem: review.problem,
            key: key
        )
    }

    /// Finds the keys that the owner of a prefix publishes.
    ///
    /// - Parameter prefix: The beginning of images' names.
    /// - Returns: Their URLs.
    /// - Throws: ``RktError`` with `notFound` when there are none.
    public func discover(prefix: String) throws -> [String] {
        try discovery.keyLocations(for: "\(try ImagePrefix(prefix))")
    }

    /// Checks what a key is to be for.
    ///
    /// - Parameter scope: The images.
    /// - Throws: ``RktError`` with `invalidArgument` for a prefix that can be none.
    public func check(_ scope: Scope) throws { _ = try Self.prefix(scope) }

    /// Trusts a key from now on.
    ///
    /// - Parameters:
    ///   - candidate: The key.
    ///   - scope: What it is for.
    /// - Returns: The file that it is in.
    /// - Throws: ``RktError`` with `permissionDenied` when the caller may not write there.
    public func add(_ candidate: Candidate, for scope: Scope) throws -> String {
        try withContext("cannot trust key \(candidate.location)") {
            try keys.add(candidate.key, for: try Self.prefix(scope))
        }
    }

    private static func prefix(_ scope: Scope) throws -> ImagePrefix? {
        if case .prefix(let text) = scope { try ImagePrefix(text) } else { nil }
    }

    /// A key that is trusted, or was taken away.
    public struct Entry: Sendable {
        /// The images it is for; nil for all.
        public let prefix: String?
        /// `openpgp`, `sigstore`, or `masked` for one that an empty file takes away.
        public let kind: String
        /// Its fingerprint, lower-case hex.
        public let fingerprint: String
        /// Whom it says it belongs to; what it is, where it does not say that.
        public let identities: [String]
    }

    /// All that is in the key store.
    ///
    /// - Returns: The keys: those for all images first, then by prefix.
    /// - Throws: ``RktError`` naming a file that is none, or that others could have written.
    public func list() throws -> [Entry] {
        try keys.list().map { entry in
            Entry(
                prefix: entry.prefix,
                kind: entry.key?.kind.rawValue ?? "masked",
                fingerprint: entry.fingerprint,
                identities: entry.key?.identities ?? []
            )
        }
    }
}
