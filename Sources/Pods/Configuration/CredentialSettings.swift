internal import Diagnostics
public import ImageFetch
internal import Manifests

/// Credentials by configuration, for registries and for servers that have ACIs: the files of kind `auth` and `dockerAuth` in the `auth.d` of the configuration directories
/// (reference, 3), and behind them what other tools of the field have.
public struct CredentialSettings: CredentialSource {
    /// The configuration directories, lowest first.
    let directories: [String]
    private let others: any CredentialSource

    /// Names the places; they are read when somebody asks.
    ///
    /// - Parameters:
    ///   - directories: The configuration directories, later ones overriding earlier ones registry by registry.
    ///   - environment: The variables that say where other tools' files are.
    public init(directories: [String], environment: (String) -> String?) {
        self.init(directories: directories, others: DockerCredentials(environment: environment))
    }

    init(directories: [String], others: any CredentialSource) {
        self.directories = directories
        self.others = others
    }

    /// Nobody's.
    static let none = CredentialSettings(directories: [], others: NoCredentials())

    private func read() throws -> (registries: [String: Credential], domains: [String: DomainCredential]) {
        var registries: [String: Credential] = [:]
        var domains: [String: DomainCredential] = [:]
        for directory in directories {
            var found: [String: Credential] = [:]
            var foundDomains: [String: DomainCredential] = [:]
            var written: Set<String> = []
            for file in try ConfigurationFile.read(directory: "\(directory)/auth.d", kinds: ["auth", "dockerAuth"]) {
                try withContext("configuration file \(file.path)") {
                    guard file.kind == "dockerAuth" else {
                        return try file.decode(DomainDocument.self).add(to: &foundDomains)
                    }
                    let document = try file.decode(RegistryDocument.self)
                    for registry in document.registries {
                        guard written.insert(registry).inserted else {
                            throw RktError(.invalidData, "another file of the same directory is for \(registry) too")
                        }
                        found[Self.name(of: registry)] = document.credentials.credential
                    }
                }
            }
            registries.merge(found) { $1 }
            domains.merge(foundDomains) { $1 }
        }
        return (registries, domains)
    }

    /// The credentials for a registry.
    ///
    /// - Parameters:
    ///   - host: The registry.
    ///   - repository: What is wanted there.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public func credential(for host: String, repository: String?) throws -> Credential? {
        try read().registries[Self.name(of: host)] ?? others.credential(for: host, repository: repository)
    }

    private static func name(of registry: String) -> String {
        ["docker.io", "index.docker.io"].contains(registry) ? DockerReference.defaultRegistry : registry
    }

    private struct RegistryDocument: Decodable {
        struct Pair: Decodable {
            let user: String
            let password: String

            var credential: Credential { .password(user: user, password: password) }
        }

        let registries: [String]
        let credentials: Pair

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            registries = try container.decode([String].self, forKey: .registries)
            credentials = try container.decode(Pair.self, forKey: .credentials)
            guard !registries.isEmpty, !registries.contains("") else {
                throw RktError(.invalidData, "it names no registry")
            }
            guard !credentials.user.isEmpty, !credentials.password.isEmpty else {
                throw RktError(.invalidData, "its user or password is empty")
            }
        }

        private enum CodingKeys: String, CodingKey {
            case registries, credentials
        }
    }
}

extension CredentialSettings: DomainCredentialSource {
    /// The credentials for a server that has ACIs.
    ///
    /// - Parameter domain: The server, with its port where that is not the scheme's own.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public func credential(forDomain domain: String) throws -> DomainCredential? {
        try read().domains[domain.lowercased()]
    }
}
