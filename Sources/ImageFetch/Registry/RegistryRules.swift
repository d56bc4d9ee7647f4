internal import Diagnostics
internal import Manifests

/// A server by its name: `HOST[:PORT]`.
public struct RegistryHost: Sendable, Hashable, CustomStringConvertible {
    /// In lower case.
    let host: String
    let port: String?

    /// Reads a name.
    ///
    /// - Parameter text: `HOST[:PORT]`.
    /// - Throws: `RktError` with `invalidData` for what is no such name.
    public init(_ text: String) throws {
        guard let parsed = try? DockerReference("\(text)/x/x"), parsed.repository == "x/x", parsed.tag == "latest"
        else {
            throw RktError(.invalidData, "\(text.debugDescription) is not HOST[:PORT]")
        }
        let parts = text.split(separator: ":")
        host = parts[0].lowercased()
        port = parts.count > 1 ? String(parts[1]) : nil
    }

    /// The name.
    public var description: String { port.map { "\(host):\($0)" } ?? host }
}

/// A registry, or a part of its repositories: `HOST[:PORT][/PATH]`.
public struct RegistryPlace: Sendable, Hashable, CustomStringConvertible {
    /// The registry, in lower case.
    let registry: String
    /// The beginning of the repositories' names; those have something behind it, or are it.
    let path: [String]

    /// Reads a place.
    ///
    /// - Parameter text: `HOST[:PORT][/PATH]`; the host has a dot, or a port, or is `localhost`.
    /// - Throws: `RktError` with `invalidData` for what is no such place.
    public init(_ text: String) throws {
        let host = text.prefix { $0 != "/" }
        guard host.contains(".") || host.contains(":") || host == "localhost", !text.contains("@"),
            let parsed = try? DockerReference("\(text)/x/x"), parsed.tag == "latest"
        else { throw RktError(.invalidData, "\(text.debugDescription) is not HOST[:PORT][/PATH]") }
        registry = Self.canonical(parsed.registry)
        path = parsed.repository.split(separator: "/").dropLast(2).map(String.init)
    }

    /// The place.
    public var description: String { ([registry] + path).joined(separator: "/") }

    /// Whether a repository is in this place.
    func contains(_ reference: DockerReference) -> Bool {
        let repository = reference.repository.split(separator: "/").map(String.init)
        return Self.canonical(reference.registry) == registry && repository.starts(with: path)
    }

    /// A registry's name in the one form of all that lead to the same server.
    private static func canonical(_ name: String) -> String {
        let parts = name.lowercased().split(separator: ":", maxSplits: 1)
        guard var host = parts.first else { return name }
        if host.hasSuffix(".") { host = host.dropLast() }
        if host == "docker.io" || host == "index.docker.io" { host = Substring(DockerReference.defaultRegistry) }
        return parts.count == 1 || parts[1] == "443" ? String(host) : "\(host):\(parts[1])"
    }

    /// The reference with another place in the stead of this one, which contains it.
    func replaced(by other: RegistryPlace, in reference: DockerReference) throws -> DockerReference {
        let rest = reference.repository.split(separator: "/").dropFirst(path.count).map(String.init)
        let repository = other.path + rest
        // Without one, the host alone would be the name of an image.
        guard !repository.isEmpty else {
            throw RktError(
                .invalidData,
                "the configuration has \(other) for \(self) (registries.d): for a whole repository it must name one"
            )
        }
        let end = (reference.tag.map { ":\($0)" } ?? "") + (reference.digest.map { "@\($0)" } ?? "")
        return try DockerReference(([other.registry] + repository).joined(separator: "/") + end)
    }
}

/// What is configured for a part of the registries.
public struct RegistryRule: Sendable, Equatable {
    /// Another place that has the same.
    public struct Mirror: Sendable, Equatable {
        /// What stands in for the rule's prefix there.
        public var location: RegistryPlace
        /// Whether plain http and any certificate will do.
        public var isInsecure: Bool
        /// Whether it is asked only for what is named by a digest, not what a tag leads to.
        public var onlyByDigest: Bool
        /// Servers besides its own that give tokens for it.
        public var tokenServers: [RegistryHost]

        /// Describes a mirror.
        ///
        /// - Parameters:
        ///   - location: What stands in for the rule's prefix there.
        ///   - isInsecure: Whether plain http and any certificate will do.
        ///   - onlyByDigest: Whether it is asked only for what is named by a digest.
        ///   - tokenServers: Servers besides its own that give tokens for it.
        public init(
            location: RegistryPlace,
            isInsecure: Bool = false,
            onlyByDigest: Bool = false,
            tokenServers: [RegistryHost] = []
        ) {
            self.location = location
            self.isInsecure = isInsecure
            self.onlyByDigest = onlyByDigest
            self.tokenServers = tokenServers
        }
    }

    /// What the rule is for.
    public var prefix: RegistryPlace
    /// Where that really is; nil for where its name says.
    public var location: RegistryPlace?
    /// What is asked first, in order.
    public var mirrors: [Mirror] = []
    /// Servers besides its own that give tokens for it.
    public var tokenServers: [RegistryHost] = []
    /// Whether plain http and any certificate will do, for the location; each mirror says so for itself.
    public var isInsecure = false
    /// Whether nothing may be fetched from there.
    public var isBlocked = false

    /// Begins a rule that says nothing yet.
    ///
    /// - Parameter prefix: What it is for.
    public init(prefix: RegistryPlace) {
        self.prefix = prefix
    }
}

/// What is configured for registries: of all rules for a reference the one with the longest prefix counts, alone.
public struct RegistryRules: Sendable {
    private let rules: [RegistryRule]

    /// Takes the rules.
    ///
    /// - Parameter rules: The rules, one for a prefix.
    public init(_ rules: [RegistryRule] = []) {
        self.rules = rules
    }

    /// One of the places where a reference may be had.
    struct Endpoint: Equatable {
        var reference: DockerReference
        var isMirror = false
        var isInsecure = false
        var onlyByDigest = false
        var tokenServers: [RegistryHost] = []
    }

    /// The places where a reference may be had, in the order in which they are asked; the last one is no mirror.
    ///
    /// - Parameter reference: The reference.
    /// - Returns: The places.
    /// - Throws: `RktError` with `permissionDenied` when nothing may be fetched from there.
    func endpoints(for reference: DockerReference) throws -> [Endpoint] {
        let fitting = rules.filter { $0.prefix.contains(reference) }
        guard let rule = fitting.max(by: { $0.prefix.path.count < $1.prefix.path.count }) else {
            return [Endpoint(reference: reference)]
        }
        if rule.isBlocked {
            throw RktError(.permissionDenied, "the configuration blocks \(rule.prefix) (registries.d)")
        }
        let mirrors = try rule.mirrors.map { mirror in
            Endpoint(
                reference: try rule.prefix.replaced(by: mirror.location, in: reference),
                isMirror: true,
                isInsecure: mirror.isInsecure,
                onlyByDigest: mirror.onlyByDigest,
                tokenServers: mirror.tokenServers
            )
        }
        let origin = Endpoint(
            reference: try rule.location.map { try rule.prefix.replaced(by: $0, in: reference) } ?? reference,
            isInsecure: rule.isInsecure,
            tokenServers: rule.tokenServers
        )
        return mirrors + [origin]
    }
}
