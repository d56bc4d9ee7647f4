internal import Diagnostics
internal import ImageFetch

/// Registries by configuration: the files of kind `registries` in the `registries.d` of the configuration directories,
/// one file for a prefix; mirrors, token servers, and what is blocked.
struct RegistrySettings {
    /// The rules, sorted by their prefixes.
    let rules: [RegistryRule]

    /// Reads the configuration.
    ///
    /// - Parameter directories: The configuration directories, later ones overriding earlier ones prefix by prefix;
    ///   ones that are missing say nothing.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    init(directories: [String]) throws {
        var rules: [RegistryPlace: RegistryRule] = [:]
        for directory in directories {
            var found: [RegistryPlace: RegistryRule] = [:]
            for file in try ConfigurationFile.read(directory: "\(directory)/registries.d", kinds: ["registries"]) {
                try withContext("configuration file \(file.path)") {
                    let rule = try file.decode(Document.self).rule()
                    guard found.updateValue(rule, forKey: rule.prefix) == nil else {
                        throw RktError(.invalidData, "another file of the same directory is for \(rule.prefix) too")
                    }
                }
            }
            rules.merge(found) { $1 }
        }
        self.rules = rules.values.sorted { "\($0.prefix)" < "\($1.prefix)" }
    }

    private struct Document: Decodable {
        struct Mirror: Decodable {
            var location: String
            var insecure: Bool?
            var pullFromDigestOnly: Bool?
            var tokenServers: [String]?
        }

        var prefix: String
        var location: String?
        var mirrors: [Mirror]?
        var tokenServers: [String]?
        var insecure: Bool?
        var blocked: Bool?

        func rule() throws -> RegistryRule {
            var rule = RegistryRule(prefix: try Self.place(prefix, "prefix"))
            rule.location = try location.map { try Self.place($0, "location") }
            rule.mirrors = try (mirrors ?? []).map { mirror in
                RegistryRule.Mirror(
                    location: try Self.place(mirror.location, "the location of a mirror"),
                    isInsecure: mirror.insecure ?? false,
                    onlyByDigest: mirror.pullFromDigestOnly ?? false,
                    tokenServers: try Self.servers(mirror.tokenServers)
                )
            }
            rule.tokenServers = try Self.servers(tokenServers)
            rule.isInsecure = insecure ?? false
            rule.isBlocked = blocked ?? false
            return rule
        }

        private static func place(_ text: String, _ field: String) throws -> RegistryPlace {
            try withContext(field) { try RegistryPlace(text) }
        }

        private static func servers(_ names: [String]?) throws -> [RegistryHost] {
            try withContext("tokenServers") { try (names ?? []).map { try RegistryHost($0) } }
        }
    }
}
