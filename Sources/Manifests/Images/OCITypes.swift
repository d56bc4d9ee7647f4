internal import Diagnostics

/// The types of the OCI image specification, as far as a pod needs them; unknown members are ignored.
public enum OCI {
    /// The most layers of an image: more than overlayfs can stack.
    public static let layerLimit = 500
    /// The most entries of an index.
    public static let indexLimit = 4096

    /// The media types that are understood.
    public enum MediaType {
        /// An OCI image index.
        public static let index = "application/vnd.oci.image.index.v1+json"
        /// An OCI image manifest.
        public static let manifest = "application/vnd.oci.image.manifest.v1+json"
        /// An OCI image configuration.
        public static let config = "application/vnd.oci.image.config.v1+json"
        /// A plain layer.
        public static let layer = "application/vnd.oci.image.layer.v1.tar"
        /// Docker's list of manifests.
        public static let dockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json"
        /// Docker's image manifest, schema 2.
        public static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
        /// Docker's image configuration.
        public static let dockerConfig = "application/vnd.docker.container.image.v1+json"

        /// Whether a media type is that of an index.
        ///
        /// - Parameter type: The media type.
        /// - Returns: True for OCI's and for Docker's.
        public static func isIndex(_ type: String) -> Bool { type == index || type == dockerIndex }

        /// Whether a media type is that of an image manifest.
        ///
        /// - Parameter type: The media type.
        /// - Returns: True for OCI's and for Docker's.
        public static func isManifest(_ type: String) -> Bool { type == manifest || type == dockerManifest }

        /// Whether a media type is that of an image configuration.
        ///
        /// - Parameter type: The media type.
        /// - Returns: True for OCI's and for Docker's.
        public static func isConfig(_ type: String) -> Bool { type == config || type == dockerConfig }

        /// Whether a media type is that of a layer that can be unpacked.
        ///
        /// - Parameter type: The media type.
        /// - Returns: True for a tar, plain or with gzip or zstd, distributable or not.
        public static func isLayer(_ type: String) -> Bool { layers.contains(type) }

        private static let layers: Set<String> = [
            layer, "\(layer)+gzip", "\(layer)+zstd",
            "application/vnd.oci.image.layer.nondistributable.v1.tar",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
            "application/vnd.docker.image.rootfs.diff.tar",
            "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "application/vnd.docker.image.rootfs.diff.tar.zstd",
            "application/vnd.docker.image.rootfs.foreign.diff.tar",
            "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        ]
    }

    /// A reference to content: its type, digest and size.
    public struct Descriptor: Sendable, Hashable, Codable {
        /// What the content is.
        public var mediaType: String
        /// The content's digest.
        public var digest: Digest
        /// The content's size in bytes.
        public var size: Int64
        /// Free annotations.
        public var annotations: [String: String]?
        /// What an image in an index runs on.
        public var platform: Platform?
        /// What it is, where it is something else than an image, such as a signature of one.
        public var artifactType: String?

        /// Makes a descriptor.
        ///
        /// - Parameters:
        ///   - mediaType: What the content is.
        ///   - digest: The content's digest.
        ///   - size: The content's size in bytes.
        ///   - annotations: Free annotations.
        ///   - platform: What an image in an index runs on.
        public init(
            mediaType: String,
            digest: Digest,
            size: Int64,
            annotations: [String: String]? = nil,
            platform: Platform? = nil
        ) {
            self.mediaType = mediaType
            self.digest = digest
            self.size = size
            self.annotations = annotations
            self.platform = platform
        }
    }

    /// A list of manifests, such as the same image for several platforms.
    public struct Index: Sendable, Hashable, Codable {
        /// Always 2.
        public var schemaVersion: Int
        /// The index's own media type, if it says.
        public var mediaType: String?
        /// The manifests.
        public var manifests: [Descriptor]
        /// Free annotations.
        public var annotations: [String: String]?
    }

    /// An image: its configuration and its layers, the lowest first.
    public struct Manifest: Sendable, Hashable, Codable {
        /// Always 2.
        public var schemaVersion: Int
        /// The manifest's own media type, if it says.
        public var mediaType: String?
        /// The configuration.
        public var config: Descriptor
        /// The layers, the lowest first.
        public var layers: [Descriptor]
        /// Free annotations.
        public var annotations: [String: String]?

        /// Makes an OCI manifest.
        ///
        /// - Parameters:
        ///   - config: The configuration.
        ///   - layers: The layers, the lowest first.
        public init(config: Descriptor, layers: [Descriptor]) {
            schemaVersion = 2
            mediaType = MediaType.manifest
            self.config = config
            self.layers = layers
        }
    }
}

extension OCI {
    /// Either of the two documents an image reference can lead to.
    public enum Document: Sendable, Hashable {
        /// An index.
        case index(Index)
        /// An image manifest.
        case manifest(Manifest)

        /// Reads an index or a manifest, whichever the bytes are, and refuses what could be read as both.
        ///
        /// - Parameters:
        ///   - bytes: The document.
        ///   - mediaType: The type it was announced as; nil when nobody said.
        ///   - name: What it is, for errors.
        /// - Throws: ``RktError`` with `invalidData` for a malformed or ambiguous document or one of another type than
        ///   announced, `unsupported` for Docker's schema 1 and for other artifacts, `limitExceeded` for too much of
        ///   anything.
        public init(_ bytes: [UInt8], mediaType: String?, name: String) throws {
            let shape = try StrictJSON.decode(Shape.self, from: bytes, name: name)
            if shape.schemaVersion == 1 || shape.fsLayers != nil {
                throw RktError(
                    .unsupported,
                    "\(name) is a Docker manifest of schema 1: push the image anew to convert it"
                )
            }
            guard shape.schemaVersion == 2 else { throw RktError(.invalidData, "\(name) has no schemaVersion 2") }
            let isIndex = shape.manifests != nil
            if isIndex, shape.layers != nil || shape.config != nil {
                throw RktError(.invalidData, "\(name) is ambiguous: it has both manifests and layers")
            }
            for type in [mediaType, shape.mediaType].compactMap(\.self) {
                guard isIndex ? MediaType.isIndex(type) : MediaType.isManifest(type) else {
                    let kind = isIndex ? "an image index" : "an image manifest"
                    throw RktError(.invalidData, "\(name) is \(kind), but its media type is \(type.debugDescription)")
                }
            }
            if let mediaType, let own = shape.mediaType, mediaType != own {
                throw RktError(.invalidData, "\(name) says to be \(own), but was announced as \(mediaType)")
            }
            if isIndex {
                self = .index(try Self.index(bytes, name: name))
            } else {
                self = .manifest(try Self.manifest(bytes, name: name))
            }
        }

        private static func index(_ bytes: [UInt8], name: String) throws -> Index {
            let index = try StrictJSON.decode(Index.self, from: bytes, name: name)
            guard index.manifests.count <= indexLimit else {
                throw RktError(.limitExceeded, "\(name) has more than \(indexLimit) manifests")
            }
            try index.manifests.forEach { try $0.validate(name: name) }
            return index
        }

        private static func manifest(_ bytes: [UInt8], name: String) throws -> Manifest {
            let manifest = try StrictJSON.decode(Manifest.self, from: bytes, name: name)
            guard manifest.layers.count <= layerLimit else {
                throw RktError(.limitExceeded, "\(name) has more than \(layerLimit) layers")
            }
            try manifest.config.validate(name: name)
            try manifest.layers.forEach { try $0.validate(name: name) }
            guard MediaType.isConfig(manifest.config.mediaType) else {
                throw RktError(
                    .unsupported,
                    "\(name) is not a container image: its config is \(manifest.config.mediaType)"
                )
            }
            guard manifest.config.size <= StrictJSON.sizeLimit else {
                throw RktError(.limitExceeded, "the config of \(name) is larger than \(StrictJSON.sizeLimit) bytes")
            }
            for layer in manifest.layers where !MediaType.isLayer(layer.mediaType) {
                throw RktError(.unsupported, "layer \(layer.digest) of \(name) has the media type \(layer.mediaType)")
            }
            return manifest
        }
    }

    /// Which of the members that tell the documents apart are there.
    private struct Shape: Decodable {
        let schemaVersion: Int?
        let mediaType: String?
        let manifests: Anything?
        let layers: Anything?
        let config: Anything?
        let fsLayers: Anything?
    }
}

extension OCI.Descriptor {
    fileprivate func validate(name: String) throws {
        guard size >= 0 else { throw RktError(.invalidData, "\(name) gives \(digest) the size \(size)") }
    }
}

/// A member that is there, whatever it is.
struct Anything: Sendable, Hashable, Codable {
    init(from decoder: any Decoder) {}
    func encode(to encoder: any Encoder) throws {
        _ = encoder.container(keyedBy: NoKeys.self)
    }

    private enum NoKeys: CodingKey {}
}
