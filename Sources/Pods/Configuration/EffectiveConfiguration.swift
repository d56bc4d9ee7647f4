internal import ImageFetch

/// What all configuration files come to, for people and scripts (`rkt config`): a list of what could stand in files
/// itself. Passwords are in it, as whoever runs this may read the files anyway.
public struct EffectiveConfiguration: Encodable, Sendable {
    private let stage0: [Entry]

    /// Reads the configuration.
    ///
    /// - Parameters:
    ///   - directories: The configuration directories, lowest first.
    ///   - data: The data directory that is in use.
    ///   - stage1Images: The directory of stage1 images that came with rkt.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public init(directories: [String], data: String, stage1Images: String) throws {
        let paths = try PathSettings(directories: directories)
        let stage1 = try Stage1Settings(directories: directories)
        let isDefault = stage1.name == nil && stage1.location == nil
        let credentials = try CredentialFiles(directories: directories)
        let registries = try RegistrySettings(directories: directories)
        stage0 =
            credentials.domains.sorted { $0.key < $1.key }.map { .auth(AuthEntry($0.value)) }
            + credentials.registries.sorted { $0.key < $1.key }.map { .dockerAuth(DockerAuthEntry($0.value)) }
            + registries.rules.map { .registries(RegistriesEntry($0)) }
            + [
                .paths(PathsEntry(data: data, stage1Images: paths.stage1Images ?? stage1Images)),
                .stage1(
                    Stage1Entry(
                        name: stage1.name ?? (isDefault ? RuntimeConfiguration.Stage1.units.rawValue : ""),
                        version: stage1.version ?? "",
                        location: stage1.location ?? ""
                    )
                ),
            ]
    }

    private enum Entry: Encodable, Sendable {
        case auth(AuthEntry)
        case dockerAuth(DockerAuthEntry)
        case registries(RegistriesEntry)
        case paths(PathsEntry)
        case stage1(Stage1Entry)

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .auth(let entry): try entry.encode(to: encoder)
            case .dockerAuth(let entry): try entry.encode(to: encoder)
            case .registries(let entry): try entry.encode(to: encoder)
            case .paths(let entry): try entry.encode(to: encoder)
            case .stage1(let entry): try entry.encode(to: encoder)
            }
        }
    }

    private struct AuthEntry: Encodable, Sendable {
        struct Credentials: Encodable, Sendable {
            var user: String?
            var password: String?
            var token: String?
            var accessKeyID: String?
            var secretAccessKey: String?
            var awsRegion: String?
        }

        let rktVersion = "v1"
        let rktKind = "auth"
        let domains: [String]
        let type: String
        let credentials: Credentials

        init(_ entry: CredentialFiles.Entry<DomainCredential>) {
            domains = [entry.name]
            switch entry.secret {
            case .basic(let user, let password):
                type = "basic"
                credentials = Credentials(user: user, password: password)
            case .bearer(let token):
                type = "oauth"
                credentials = Credentials(token: token)
            case .aws(let accessKeyID, let secretAccessKey, let region):
                type = "aws"
                credentials = Credentials(
                    accessKeyID: accessKeyID,
                    secretAccessKey: secretAccessKey,
                    awsRegion: region
                )
            }
        }
    }

    private struct DockerAuthEntry: Encodable, Sendable {
        let rktVersion = "v1"
        let rktKind = "dockerAuth"
        let registries: [String]
        let credentials: RegistryLogin

        init(_ entry: CredentialFiles.Entry<RegistryLogin>) {
            registries = [entry.name]
            credentials = entry.secret
        }
    }

    private struct PathsEntry: Encodable, Sendable {
        let rktVersion = "v1"
        let rktKind = "paths"
        let data: String
        let stage1Images: String

        private enum CodingKeys: String, CodingKey {
            case rktVersion, rktKind, data
            case stage1Images = "stage1-images"
        }
    }

    private struct Stage1Entry: Encodable, Sendable {
        let rktVersion = "v1"
        let rktKind = "stage1"
        let name: String
        let version: String
        let location: String
    }

    private struct RegistriesEntry: Encodable, Sendable {
        struct Mirror: Encodable, Sendable {
            let location: String
            let insecure: Bool
            let pullFromDigestOnly: Bool
            let tokenServers: [String]
        }

        let rktVersion = "v1"
        let rktKind = "registries"
        let prefix: String
        let location: String?
        let mirrors: [Mirror]
        let tokenServers: [String]
        let insecure: Bool
        let blocked: Bool

        init(_ rule: RegistryRule) {
            prefix = "\(rule.prefix)"
            location = rule.location.map { "\($0)" }
            mirrors = rule.mirrors.map { mirror in
                Mirror(
                    location: "\(mirror.location)",
                    insecure: mirror.isInsecure,
                    pullFromDigestOnly: mirror.onlyByDigest,
                    tokenServers: mirror.tokenServers.map { "\($0)" }
                )
            }
            tokenServers = rule.tokenServers.map { "\($0)" }
            insecure = rule.isInsecure
            blocked = rule.isBlocked
        }
    }
}
