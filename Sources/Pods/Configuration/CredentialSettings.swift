public import ImageFetch

/// Credentials by configuration, for registries and for servers that have ACIs: those of rkt's own files, and for
/// registries behind them what other tools of the field have.
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

    /// The credentials for a registry.
    ///
    /// - Parameters:
    ///   - host: The registry.
    ///   - repository: What is wanted there.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public func credential(for host: String, repository: String?) throws -> Credential? {
        let found = try CredentialFiles(directories: directories).registries[CredentialFiles.key(ofRegistry: host)]
        guard let login = found?.secret else { return try others.credential(for: host, repository: repository) }
        return .password(user: login.user, password: login.password)
    }
}

extension CredentialSettings: DomainCredentialSource {
    /// The credentials for a server that has ACIs.
    ///
    /// - Parameter domain: The server, with its port where that is not the scheme's own.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public func credential(forDomain domain: String) throws -> DomainCredential? {
        try CredentialFiles(directories: directories).domains[domain.lowercased()]?.secret
    }
}
