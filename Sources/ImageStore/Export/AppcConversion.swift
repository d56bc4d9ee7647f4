internal import Diagnostics
internal import Manifests

/// What an OCI or Docker image is as an appc image, in the words that rkt's conversion always had.
struct AppcConversion {
    private let record: ImageRecord
    private let config: ImageConfig

    init(_ record: ImageRecord, _ config: ImageConfig) {
        self.record = record
        self.config = config
    }

    func manifest() throws -> AppcImageManifest {
        let name = record.names.first ?? "image-\(record.id.dropFirst(7).prefix(12))"
        let (repository, tag) = Self.parts(of: name)
        return try AppcImageManifest(
            config,
            name: try ACIdentifier(sanitizing: repository),
            version: tag,
            annotations: annotations(name)
        )
    }

    /// The name without its tag or digest, and the tag. A file says a name as it likes: only what is one of a registry
    /// is read as such.
    static func parts(of name: String) -> (repository: String, tag: String?) {
        let plain = String(name.prefix { $0 != "@" })
        let last = plain.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        guard let colon = last.lastIndex(of: ":") else { return (plain, nil) }
        let tag = String(last[last.index(after: colon)...])
        return (String(plain.dropLast(tag.count + 1)), tag.isEmpty ? nil : tag)
    }

    private func annotations(_ name: String) -> [NameValue] {
        func json(_ words: [String]) -> String? {
            guard !words.isEmpty else { return nil }
            return (try? OCI.json(words)).map { String(decoding: $0, as: UTF8.self) }
        }
        let source = record.sources?.first.flatMap { try? DockerReference($0.reference) }
        let values: [(String, String?)] = [
            ("created", config.created.flatMap { AppcImageManifest.isTimestamp($0) ? $0 : nil }),
            ("appc.io/docker/originalname", name),
            ("appc.io/docker/registryurl", source?.registry),
            ("appc.io/docker/repository", source?.repository ?? Self.parts(of: name).repository),
            ("appc.io/docker/imageid", record.config?.hex),
            ("appc.io/docker/tag", Self.parts(of: name).tag),
            ("appc.io/docker/entrypoint", json(config.entrypoint)),
            ("appc.io/docker/cmd", json(config.cmd)),
            ("appc.io/docker/manifesthash", record.manifest.description),
        ]
        return values.compactMap { name, value in value.map { NameValue(name: name, value: $0) } }
    }
}
