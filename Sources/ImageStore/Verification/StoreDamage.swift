public import Manifests

/// Something in the store that is not what it is called.
public struct StoreDamage: Sendable {
    /// What can be damaged.
    public enum Object: Sendable, Hashable, CustomStringConvertible {
        /// A manifest, a configuration, or a layer as it came.
        case blob(Digest)
        /// An unpacked layer.
        case layer(Digest)
        /// The record of an image, by its file.
        case record(String)

        /// The object in a message.
        public var description: String {
            switch self {
            case .blob(let digest): "blob \(digest)"
            case .layer(let digest): "unpacked layer \(digest)"
            case .record(let path): "record \(path)"
            }
        }
    }

    /// What is damaged.
    public let object: Object
    /// What is wrong with it.
    public let problem: String
    /// The images it is a part of.
    public let images: [ImageRecord]
}

/// What a verification has found.
public struct StoreVerification: Sendable {
    /// The images that were looked at.
    public var images: [ImageRecord] = []
    /// What is damaged.
    public var damages: [StoreDamage] = []
    /// Whether unpacked layers were compared with what they were unpacked from; only root can.
    public var comparedLayers = true

    /// Whether nothing of an image is damaged.
    ///
    /// - Parameter image: The image.
    /// - Returns: Whether it is as it was fetched.
    public func isGood(_ image: ImageRecord) -> Bool {
        !damages.contains { $0.images.contains { $0.id == image.id } }
    }
}
