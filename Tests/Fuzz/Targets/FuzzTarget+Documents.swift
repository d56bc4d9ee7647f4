internal import Diagnostics
internal import FoundationEssentials
internal import Manifests

extension FuzzTarget {
    /// An index or a manifest: what was accepted is accepted again, as the same.
    static let manifest = FuzzTarget("manifest", shortRun: 6_000) { bytes in
        let again: ([UInt8]) throws -> OCI.Document = { try OCI.Document($0, mediaType: nil, name: "again") }
        switch try OCI.Document(bytes, mediaType: nil, name: "a document") {
        case .index(let index):
            try require(index.manifests.count <= OCI.indexLimit, "\(index.manifests.count) manifests")
            try requireSound(index.manifests)
            try require(try reread(index, again) == .index(index), "the index reads as something else")
        case .manifest(let manifest):
            try require(manifest.layers.count <= OCI.layerLimit, "\(manifest.layers.count) layers")
            try requireSound(manifest.layers + [manifest.config])
            try require(try reread(manifest, again) == .manifest(manifest), "the manifest reads as something else")
        }
    }

    private static func requireSound(_ descriptors: [OCI.Descriptor]) throws {
        for descriptor in descriptors {
            try require(descriptor.size >= 0, "a size of \(descriptor.size)")
            try require(descriptor.digest.hex.utf8.count == descriptor.digest.algorithm.hexLength, "a digest's length")
            try require(!descriptor.digest.hex.contains { $0 == "/" || $0 == "." }, "a digest that is a path")
        }
    }

    /// An OCI configuration.
    static let configuration = FuzzTarget("configuration", shortRun: 6_000) { bytes in
        let image = try OCI.Image.parse(bytes, name: "a configuration")
        try require(image.rootfs.diffIDs.count <= OCI.layerLimit, "\(image.rootfs.diffIDs.count) layers")
        let config = try ImageConfig(image, name: "a configuration")
        try require(!config.command.contains { $0.utf8.contains(0) }, "a NUL in the command")
        try require(config.workingDirectory.hasPrefix("/"), "\(config.workingDirectory) is not absolute")
    }

    /// The list in an archive of `docker save`.
    static let dockerSave = FuzzTarget("docker-save", shortRun: 3_000) { bytes in
        _ = try DockerSaveImage.parse(bytes, name: "manifest.json")
    }

    /// An appc image manifest: what was accepted is accepted again, as the same.
    static let aci = FuzzTarget("aci", shortRun: 6_000) { bytes in
        let manifest = try AppcImageManifest.parse(bytes, name: "a manifest")
        _ = try mustSucceed("validating it again") { try manifest.validate() }
        let again = try reread(manifest) { try AppcImageManifest.parse($0, name: "again") }
        try require(again == manifest, "it reads as something else")
        _ = ImageConfig(manifest)
    }

    private static func reread<Value: Encodable, Read>(_ value: Value, _ read: ([UInt8]) throws -> Read) throws -> Read
    {
        try mustSucceed("what was accepted is not read again") { try read([UInt8](try JSONEncoder().encode(value))) }
    }
}
