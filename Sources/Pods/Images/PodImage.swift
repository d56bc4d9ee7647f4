internal import Diagnostics
public import ImageStore
public import Manifests

/// An image that an app is made of: in the store, unpacked.
public struct PodImage: Sendable {
    /// The store's record of it.
    public let record: ImageRecord
    /// Its runtime configuration.
    public let config: ImageConfig
    /// Its manifest, as `image cat-manifest` prints it.
    let manifest: [UInt8]
    /// The directories of its layers, lowest first.
    let layers: [String]
    /// Keeps the layers from being collected until the pod is on record.
    private let lease: StoreLease

    /// Takes an image from the store, unpacking what is not yet unpacked.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - store: The store.
    /// - Throws: ``RktError`` when it is damaged or cannot be unpacked.
    public init(_ record: ImageRecord, in store: ImageStore) throws {
        lease = try store.lease()
        self.record = record
        config = try store.config(of: record)
        manifest = try store.manifestJSON(of: record)
        let directories = try store.layers(of: record)
        lease.keepOnly(directories.map(\.diffID))
        layers = directories.map(\.path)
        store.markUsed(record)
    }

    /// The name to show: with the version if there is one.
    var displayName: String { record.displayName }

    /// The name of an app that was given none: the last part of the image's.
    func defaultAppName() throws -> ACName {
        let withoutTag = displayName.split(separator: "@").first.map(String.init) ?? displayName
        let last = withoutTag.split(separator: "/").last.map(String.init) ?? withoutTag
        let name = last.split(separator: ":").first.map(String.init) ?? last
        return try withContext("image \"\(displayName)\" gives no app name: choose one with --name") {
            try ACName(sanitizing: name)
        }
    }
}

extension ImageRecord {
    /// The name to show: with the version if there is one, the start of the id if there is no name.
    public var displayName: String {
        guard let name = names.first else { return String(id.prefix(19)) }
        guard kind == .appc, let version = labels.first(where: { $0.name == "version" })?.value else { return name }
        return name.hasSuffix(":\(version)") ? name : "\(name):\(version)"
    }
}
