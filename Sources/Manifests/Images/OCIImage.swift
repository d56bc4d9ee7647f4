internal import Diagnostics

extension OCI {
    /// An image configuration: how to run the image, and what its layers unpack to.
    public struct Image: Sendable, Hashable, Decodable {
        /// When the image was made, RFC 3339.
        public var created: String?
        /// The processor architecture, in Go's words (`amd64`).
        public var architecture: String
        /// The operating system (`linux`).
        public var os: String
        /// The variant of the architecture (`v7`).
        public var variant: String?
        /// How to run it.
        public var config: Config?
        /// What the layers unpack to.
        public var rootfs: RootFS

        /// How to run an image.
        public struct Config: Sendable, Hashable, Decodable {
            /// `USER`, `USER:GROUP`, by names or numbers.
            public var user: String?
            /// The ports, such as `80/tcp`.
            public var exposedPorts: [String]
            /// The environment, `NAME=VALUE`.
            public var env: [String]?
            /// The program and its fixed arguments.
            public var entrypoint: [String]?
            /// Arguments that a user can replace.
            public var cmd: [String]?
            /// Paths of volumes.
            public var volumes: [String]
            /// Where the app starts.
            public var workingDir: String?
            /// Free labels.
            public var labels: [String: String]?
            /// The signal that asks the app to end.
            public var stopSignal: String?

            private enum CodingKeys: String, CodingKey {
                case user = "User"
                case exposedPorts = "ExposedPorts"
                case env = "Env"
                case entrypoint = "Entrypoint"
                case cmd = "Cmd"
                case volumes = "Volumes"
                case workingDir = "WorkingDir"
                case labels = "Labels"
                case stopSignal = "StopSignal"
            }

            /// Decodes the configuration; the sets are written as objects with empty values.
            ///
            /// - Parameter decoder: The decoder.
            /// - Throws: `DecodingError`.
            public init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                user = try container.decodeIfPresent(String.self, forKey: .user)
                let ports = try container.decodeIfPresent([String: Anything?].self, forKey: .exposedPorts)
                exposedPorts = (ports ?? [:]).keys.sorted()
                env = try container.decodeIfPresent([String].self, forKey: .env)
                entrypoint = try container.decodeIfPresent([String].self, forKey: .entrypoint)
                cmd = try container.decodeIfPresent([String].self, forKey: .cmd)
                let paths = try container.decodeIfPresent([String: Anything?].self, forKey: .volumes)
                volumes = (paths ?? [:]).keys.sorted()
                workingDir = try container.decodeIfPresent(String.self, forKey: .workingDir)
                labels = try container.decodeIfPresent([String: String].self, forKey: .labels)
                stopSignal = try container.decodeIfPresent(String.self, forKey: .stopSignal)
            }
        }

        /// What the layers unpack to.
        public struct RootFS: Sendable, Hashable, Decodable {
            /// Always `layers`.
            public var type: String
            /// The digests of the layers' uncompressed tars, the lowest first.
            public var diffIDs: [Digest]

            private enum CodingKeys: String, CodingKey {
                case type
                case diffIDs = "diff_ids"
            }

            /// Decodes the part; no layers may be written as null.
            ///
            /// - Parameter decoder: The decoder.
            /// - Throws: `DecodingError`.
            public init(from decoder: any Decoder) throws {
                let container = try decoder.container(keyedBy: CodingKeys.self)
                type = try container.decode(String.self, forKey: .type)
                diffIDs = try container.decodeIfPresent([Digest].self, forKey: .diffIDs) ?? []
            }
        }

        /// Reads an image configuration.
        ///
        /// - Parameters:
        ///   - bytes: The document.
        ///   - name: What it is, for errors.
        /// - Returns: The configuration.
        /// - Throws: ``RktError`` with `invalidData`, `limitExceeded`, or `unsupported` for digests other than SHA-256.
        public static func parse(_ bytes: [UInt8], name: String) throws -> Image {
            let image = try StrictJSON.decode(Image.self, from: bytes, name: name)
            guard image.rootfs.type == "layers" else {
                throw RktError(.invalidData, "\(name) has a rootfs of type \(image.rootfs.type.debugDescription)")
            }
            guard image.rootfs.diffIDs.count <= layerLimit else {
                throw RktError(.limitExceeded, "\(name) has more than \(layerLimit) layers")
            }
            guard image.rootfs.diffIDs.allSatisfy({ $0.algorithm == .sha256 }) else {
                throw RktError(.unsupported, "\(name) names layers by digests other than sha256")
            }
            return image
        }
    }
}

/// An image in the `manifest.json` of a tar that `docker save` made.
public struct DockerSaveImage: Sendable, Hashable, Decodable {
    /// The name of the configuration in the archive.
    public var config: String
    /// The image's names, `REPOSITORY:TAG`.
    public var repoTags: [String]
    /// The names of the layers in the archive, the lowest first.
    public var layers: [String]

    private enum CodingKeys: String, CodingKey {
        case config = "Config"
        case repoTags = "RepoTags"
        case layers = "Layers"
    }

    /// Decodes an image; tags and layers may be null.
    ///
    /// - Parameter decoder: The decoder.
    /// - Throws: `DecodingError`.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        config = try container.decode(String.self, forKey: .config)
        repoTags = try container.decodeIfPresent([String].self, forKey: .repoTags) ?? []
        layers = try container.decodeIfPresent([String].self, forKey: .layers) ?? []
    }

    /// Reads a `manifest.json`.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - name: What it is, for errors.
    /// - Returns: The images, at least one.
    /// - Throws: ``RktError`` with `invalidData` or `limitExceeded`.
    public static func parse(_ bytes: [UInt8], name: String) throws -> [DockerSaveImage] {
        let images = try StrictJSON.decode([DockerSaveImage].self, from: bytes, name: name)
        guard !images.isEmpty else { throw RktError(.invalidData, "\(name) lists no image") }
        for image in images where image.layers.count > OCI.layerLimit {
            throw RktError(.limitExceeded, "\(name) has more than \(OCI.layerLimit) layers")
        }
        return images
    }
}
