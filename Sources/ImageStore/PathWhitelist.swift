internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The only paths that an appc image lets through, of its own and of what it depends on (appc specification,
/// `pathWhitelist`): each by its name, so that a directory alone brings nothing that is in it. The directories that a
/// path is in stay with it.
struct PathWhitelist: Sendable, Hashable {
    /// The listed paths, relative to the root.
    private let listed: Set<[UInt8]>
    /// The directories they are in.
    private let above: Set<[UInt8]>

    /// Takes over a manifest's list.
    ///
    /// - Parameter paths: Absolute paths; nil when there are none, as then all are let through.
    init?(_ paths: [String]) {
        guard !paths.isEmpty else { return nil }
        var listed: Set<[UInt8]> = []
        var above: Set<[UInt8]> = []
        for path in paths {
            var components: [[UInt8]] = []
            for part in path.utf8.split(separator: UInt8(ascii: "/")).map(Array.init) {
                switch part {
                case [UInt8(ascii: ".")]: continue
                case Array("..".utf8): _ = components.popLast()
                default: components.append(part)
                }
            }
            listed.insert(Self.joined(components[...]))
            for count in components.indices { above.insert(Self.joined(components.prefix(count))) }
        }
        self.listed = listed
        self.above = above
    }

    /// Whether a path below the root stays.
    func keeps(_ path: [UInt8]) -> Bool { listed.contains(path) || above.contains(path) }

    /// The list in an order of its own, each path ended by a NUL.
    var text: [UInt8] {
        listed.sorted { $0.lexicographicallyPrecedes($1) }.flatMap { $0 + [0] }
    }

    private static func joined(_ components: ArraySlice<[UInt8]>) -> [UInt8] {
        Array(components.joined(separator: [UInt8(ascii: "/")]))
    }
}

/// A layer as an image uses it: whole, or without the paths that the image does not let through.
struct LayerUse: Sendable, Hashable {
    let layer: ImageRecord.Layer
    let whitelists: [PathWhitelist]

    /// What its directory is called: after the layer, or after the layer and the lists.
    var directoryName: Digest {
        guard !whitelists.isEmpty else { return layer.diffID }
        // No tar begins like this, so no layer has this digest.
        let text = Array("rkt layer \(layer.diffID) limited to\0".utf8) + whitelists.flatMap { $0.text + [0] }
        guard let digest = try? ContentHash.digest(.sha256, of: text) else {
            preconditionFailure("SHA-256 gives a digest")
        }
        return digest
    }
}

extension ImageStore {
    /// Makes the directories of limited layers: copies, put into their places whole and synced as unpacked ones are.
    func limit(_ uses: [LayerUse], of record: ImageRecord) throws {
        guard !uses.isEmpty else { return }
        let work = try beginImport(unpack: true, progress: nil)
        for use in uses { work.adopt(try copyLimited(use, work.work), as: use.directoryName) }
        try withContext("limiting image \(record.id) to its pathWhitelist") { try work.settleLayers() }
    }

    /// Copies what is let through of a layer into the work area, and says where.
    func copyLimited(_ use: LayerUse, _ area: WorkArea) throws -> String {
        let name = area.newName("limited")
        try area.directory.makeDirectory(name, mode: 0o755)
        let source = try part("layers").directory(use.layer.diffID.hex)
        try source.copyTree(to: try area.directory.directory(name)) { path in
            use.whitelists.allSatisfy { $0.keeps(path) }
        }
        return name
    }
}
