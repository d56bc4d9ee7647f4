internal import Diagnostics
internal import FoundationEssentials

extension AppcImageManifest {
    /// The manifest that an OCI or Docker image has as an appc image.
    ///
    /// - Parameters:
    ///   - config: The image's configuration.
    ///   - name: Its name.
    ///   - version: Its tag.
    ///   - annotations: Where it came from.
    /// - Throws: ``RktError`` with `invalidData` for what an appc image cannot say.
    public init(_ config: ImageConfig, name: ACIdentifier, version: String?, annotations: [NameValue]) throws {
        let platform = OCI.Platform(os: config.os, architecture: config.architecture)
        let architecture = AppcPlatform.architecture(of: platform)
        var labels = version.map { [NameValue(name: "version", value: $0)] } ?? []
        if let known = AppcPlatform.architectures[config.os] {
            labels.append(NameValue(name: "os", value: config.os))
            if known.contains(architecture) { labels.append(NameValue(name: "arch", value: architecture)) }
        }
        // The group of a user that says none is called as the user.
        var app = AppcApp(exec: config.command, user: config.user, group: config.group ?? config.user)
        app.workingDirectory = config.workingDirectory
        app.environment = config.environment.isEmpty ? nil : config.environment
        app.ports = config.ports.isEmpty ? nil : config.ports
        app.mountPoints = config.mountPoints.isEmpty ? nil : config.mountPoints
        self.init(
            acKind: "ImageManifest",
            acVersion: "0.8.11",
            name: name,
            labels: labels.isEmpty ? nil : labels,
            app: app,
            dependencies: nil,
            pathWhitelist: nil,
            annotations: annotations.isEmpty ? nil : annotations
        )
        try withContext("it cannot be an appc image") { try validate() }
    }

    /// The manifest as JSON, the same each time.
    ///
    /// - Returns: The document.
    /// - Throws: ``RktError`` when it cannot be encoded.
    public func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(self) }
}

extension OCI {
    /// The configuration that an appc image has as an OCI image.
    ///
    /// - Parameters:
    ///   - config: The image's configuration.
    ///   - diffID: The digest of its only layer.
    ///   - platform: What it runs on, where it does not say.
    /// - Returns: The document.
    /// - Throws: ``RktError`` when it cannot be encoded.
    public static func configuration(_ config: ImageConfig, diffID: Digest, platform: Platform) throws -> [UInt8] {
        func members(_ names: [String]) -> [String: [String: String]]? {
            names.isEmpty ? nil : Dictionary(names.map { ($0, [:]) }) { first, _ in first }
        }
        let ports = config.ports.map { port in
            let last = port.count.flatMap { $0 > 1 ? "-\(port.port + $0 - 1)" : nil } ?? ""
            return "\(port.port)\(last)/\(port.protocol)"
        }
        return try CanonicalJSON.bytes(
            NewImage(
                architecture: config.architecture.isEmpty ? platform.architecture : config.architecture,
                os: config.os.isEmpty ? platform.os : config.os,
                created: config.created,
                config: NewImage.Config(
                    user: config.user + (config.group.map { ":\($0)" } ?? ""),
                    env: config.environment.isEmpty ? nil : config.environment.map { "\($0.name)=\($0.value)" },
                    entrypoint: config.command.isEmpty ? nil : config.command,
                    workingDir: config.workingDirectory,
                    exposedPorts: members(ports),
                    volumes: members(config.mountPoints.map(\.path))
                ),
                rootfs: NewImage.RootFS(type: "layers", diffIDs: [diffID])
            )
        )
    }

    /// The index of a layout with one image.
    ///
    /// - Parameters:
    ///   - manifest: The image's manifest.
    ///   - name: Its name.
    /// - Returns: The document.
    /// - Throws: ``RktError`` when it cannot be encoded.
    public static func index(_ manifest: Descriptor, name: String?) throws -> [UInt8] {
        var manifest = manifest
        manifest.annotations = name.map { ["org.opencontainers.image.ref.name": $0] }
        return try CanonicalJSON.bytes(
            Index(schemaVersion: 2, mediaType: MediaType.index, manifests: [manifest], annotations: nil)
        )
    }

    private struct NewImage: Encodable {
        let architecture: String
        let os: String
        let created: String?
        let config: Config
        let rootfs: RootFS

        struct Config: Encodable {
            let user: String
            let env: [String]?
            let entrypoint: [String]?
            let workingDir: String
            let exposedPorts: [String: [String: String]]?
            let volumes: [String: [String: String]]?

            enum CodingKeys: String, CodingKey {
                case user = "User"
                case env = "Env"
                case entrypoint = "Entrypoint"
                case workingDir = "WorkingDir"
                case exposedPorts = "ExposedPorts"
                case volumes = "Volumes"
            }
        }

        struct RootFS: Encodable {
            let type: String
            let diffIDs: [Digest]

            enum CodingKeys: String, CodingKey {
                case type
                case diffIDs = "diff_ids"
            }
        }
    }
}

extension OCI.Manifest {
    /// The manifest as JSON, the same each time.
    ///
    /// - Returns: The document.
    /// - Throws: ``RktError`` when it cannot be encoded.
    public func encoded() throws -> [UInt8] { try CanonicalJSON.bytes(self) }
}

/// JSON that is the same for the same value.
enum CanonicalJSON {
    static func bytes(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return [UInt8](try encoder.encode(value))
    }
}

extension OCI {
    /// Words as a JSON array.
    ///
    /// - Parameter words: The words.
    /// - Returns: The document.
    /// - Throws: ``RktError`` when it cannot be encoded.
    public static func json(_ words: [String]) throws -> [UInt8] { try CanonicalJSON.bytes(words) }
}
