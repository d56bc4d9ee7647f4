internal import Diagnostics
internal import ImageFetch
internal import Manifests

/// Credentials in rkt's configuration: the files of kinds `auth` and `dockerAuth` in the `auth.d` of the configuration
/// directories.
struct CredentialFiles {
    /// What is kept for one server.
    struct Entry<Secret: Sendable>: Sendable {
        /// The server, as the file names it.
        let name: String
        /// What to show to it.
        let secret: Secret
    }

    /// Those for servers that have ACIs, by the servers' names in lower case.
    private(set) var domains: [String: Entry<DomainCredential>] = [:]
    /// Those for registries, by the registries' names, of which Docker's own has one.
    private(set) var registries: [String: Entry<RegistryLogin>] = [:]

    /// Reads the files.
    ///
    /// - Parameter directories: The configuration directories, later ones overriding earlier ones server by server;
    ///   ones that are missing say nothing.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    init(directories: [String]) throws {
        for directory in directories {
            let found = try Self(directory: "\(directory)/auth.d")
            domains.merge(found.domains) { $1 }
            registries.merge(found.registries) { $1 }
        }
    }

    private init(directory path: String) throws {
        var written: Set<String> = []
        for file in try ConfigurationFile.read(directory: path, kinds: ["auth", "dockerAuth"]) {
            try withContext("configuration file \(file.path)") {
                if file.kind == "auth" {
                    let document = try file.decode(DomainDocument.self)
                    for name in document.domains {
                        let entry = Entry(name: name, secret: document.credential)
                        guard domains.updateValue(entry, forKey: name.lowercased()) == nil else {
                            throw Self.duplicate(name)
                        }
                    }
                } else {
                    let document = try file.decode(RegistryDocument.self)
                    for name in document.registries {
                        guard written.insert(name).inserted else { throw Self.duplicate(name) }
                        registries[Self.key(ofRegistry: name)] = Entry(name: name, secret: document.credentials)
                    }
                }
            }
        }
    }

    private static func duplicate(_ name: String) -> RktError {
        RktError(.invalidData, "another file of the same directory is for \(name) too")
    }

    /// What the credentials for a registry are found by.
    static func key(ofRegistry name: String) -> String {
        ["docker.io", "index.docker.io"].contains(name) ? DockerReference.defaultRegistry : name
    }
}

/// A name and a password for a registry.
struct RegistryLogin: Codable, Sendable {
    let user: String
    let password: String
}

/// A file of kind `dockerAuth`: what to show to registries.
private struct RegistryDocument: Decodable {
    let registries: [String]
    let credentials: RegistryLogin

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        registries = try container.decode([String].self, forKey: .registries)
        credentials = try container.decode(RegistryLogin.self, forKey: .credentials)
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
