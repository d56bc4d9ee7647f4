internal import Diagnostics
internal import ImageFetch
internal import Manifests

/// What all configuration files come to, for people and scripts (`rkt config`): a list of what could stand in files itself.
/// Passwords are in it, as whoever runs this may read the files anyway.
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
        stage0 =
            try AuthEntry.all(directories).map(Entry.auth)
            + RegistrySettings(directories: directories).rules.map { .registries(RegistriesEntry($0)) }
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
        case registries(RegistriesEntry)
        case paths(PathsEntry)
        case stage1(Stage1Entry)

        func encode(to encoder: any Encoder) throws {
            switch self {
            case .auth(let entry): try entry.encode(to: encoder)
            case .registries(let entry): try entry.encode(to: encoder)
            case .paths(let entry): try entry.encode(to: encoder)
            case .stage1(let entry): try entry.encode(to: encoder)
            }
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

/// The credentials for one domain or registry, as the files of kind `auth` and `dockerAuth` have them.
private struct AuthEntry: Encodable, Sendable {
    private let isDockers: Bool
    private let name: String
    /// Of kind `auth`.
    private let type: String?
    private let credentials: [(name: String, value: String)]

    /// Reads all.
    ///
    /// - Parameter directories: The configuration directories, later ones overriding earlier ones name by name.
    /// - Returns: The entries: first the domains', then the registries', each sorted by name.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    static func all(_ directories: [String]) throws -> [AuthEntry] {
        var entries: [String: AuthEntry] = [:]
        for directory in directories {
            var found: [String: AuthEntry] = [:]
            for file in try ConfigurationFile.read(directory: "\(directory)/auth.d", kinds: ["auth", "dockerAuth"]) {
                try withContext("configuration file \(file.path)") {
                    for entry in try read(file) {
                        guard found.updateValue(entry, forKey: entry.key) == nil else {
                            throw RktError(.invalidData, "another file of the same directory is for \(entry.name) too")
                        }
                    }
                }
            }
            entries.merge(found) { $1 }
        }
        return entries.sorted { $0.key < $1.key }.map(\.value)
    }

    /// What two entries for the same have in common.
    private var key: String {
        guard isDockers else { return "0 \(name.lowercased())" }
        return "1 \(["docker.io", "index.docker.io"].contains(name) ? DockerReference.defaultRegistry : name)"
    }

    private struct Document: Decodable {
        var domains: [String]?
        var registries: [String]?
        var type: String?
        var credentials: [String: String]
    }

    private static func read(_ file: ConfigurationFile) throws -> [AuthEntry] {
        let document = try file.decode(Document.self)
        let isDockers = file.kind == "dockerAuth"
        let field = isDockers ? "registries" : "domains"
        guard let names = isDockers ? document.registries : document.domains, !names.isEmpty, !names.contains("") else {
            throw RktError(.invalidData, "\(field) must name something, and nothing empty")
        }
        let type = isDockers ? "basic" : document.type ?? ""
        let fields: (needed: [String], possible: [String])
        switch type {
        case "basic": fields = (["user", "password"], [])
        case "oauth": fields = (["token"], [])
        case "aws": fields = (["accessKeyID", "secretAccessKey"], ["awsRegion"])
        default:
            throw RktError(.invalidData, "type is \(type.debugDescription): it must be \"basic\", \"oauth\" or \"aws\"")
        }
        for field in fields.needed where document.credentials[field]?.isEmpty ?? true {
            throw RktError(.invalidData, "its credentials have no \(field)")
        }
        let credentials = (fields.needed + fields.possible).compactMap { field in
            document.credentials[field].map { (field, $0) }
        }
        return names.map {
            AuthEntry(isDockers: isDockers, name: $0, type: isDockers ? nil : type, credentials: credentials)
        }
    }

    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(_ text: String) { stringValue = text }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }

    private init(isDockers: Bool, name: String, type: String?, credentials: [(name: String, value: String)]) {
        self.isDockers = isDockers
        self.name = name
        self.type = type
        self.credentials = credentials
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode("v1", forKey: Key("rktVersion"))
        try container.encode(isDockers ? "dockerAuth" : "auth", forKey: Key("rktKind"))
        try container.encode([name], forKey: Key(isDockers ? "registries" : "domains"))
        if let type { try container.encode(type, forKey: Key("type")) }
        var pairs = container.nestedContainer(keyedBy: Key.self, forKey: Key("credentials"))
        for (name, value) in credentials { try pairs.encode(value, forKey: Key(name)) }
    }
}
