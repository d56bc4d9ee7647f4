internal import Diagnostics
public import ImageStore
public import Manifests

/// Sees to it that the images are there which an ACI is built on, and those that they are built on.
public struct ImageDependencies: Sendable {
    /// Gets one: from the store or from elsewhere.
    public typealias Source =
        @Sendable (_ name: AppcImageName, _ dependency: AppcImageManifest.Dependency) throws -> ImageRecord

    private let store: ImageStore
    private let source: Source

    /// The most images that one may need.
    static let countLimit = 127
    /// The longest way from one to another.
    static let depthLimit = 32

    /// Makes it.
    ///
    /// - Parameters:
    ///   - store: Where the images are.
    ///   - source: Gets one.
    public init(store: ImageStore, source: @escaping Source) {
        self.store = store
        self.source = source
    }

    private struct Need {
        let dependency: AppcImageManifest.Dependency
        /// Who needs it.
        let image: ImageRecord
        let depth: Int
    }

    /// Gets all images that one needs, the nearest first.
    ///
    /// - Parameter record: The image.
    /// - Throws: `RktError` with `invalidData` for images that need themselves, or are others than was said of them;
    ///   `limitExceeded` for too many; what the source throws, naming who needs it.
    public func complete(_ record: ImageRecord) throws {
        var needs = try needs(of: record, depth: 1)[...]
        // What each image needs, by their ids.
        var needed: [String: [String]] = [record.id: []]
        var found: [AppcImageManifest.Dependency: ImageRecord] = [:]
        while let need = needs.popFirst() {
            let image = try found[need.dependency] ?? get(need)
            found[need.dependency] = image
            needed[need.image.id, default: []].append(image.id)
            guard needed[image.id] == nil else { continue }
            guard needed.count <= Self.countLimit, need.depth <= Self.depthLimit else {
                throw RktError(
                    .limitExceeded,
                    "image \(record.displayText) needs more than \(Self.countLimit) images, or deeper than \(Self.depthLimit)"
                )
            }
            needed[image.id] = []
            needs += try self.needs(of: image, depth: need.depth + 1)
        }
        try Self.checkOrder(record, needed)
    }

    private func needs(of image: ImageRecord, depth: Int) throws -> [Need] {
        guard image.kind == .appc else { return [] }
        let manifest = try AppcImageManifest.parse(
            try store.manifestJSON(of: image),
            name: "the manifest of image \(image.displayText)"
        )
        return (manifest.dependencies ?? []).map { Need(dependency: $0, image: image, depth: depth) }
    }

    private func get(_ need: Need) throws -> ImageRecord {
        let dependency = need.dependency
        let name = try AppcImageName(name: dependency.imageName, labels: dependency.labels ?? [])
        return try withContext("dependency \(name) of image \(need.image.displayText)") {
            let image = try source(name, dependency)
            if let id = dependency.imageID, !image.id.hasPrefix(try ImageIDPrefix(id).description) {
                throw RktError(.digestMismatch, "it is image \(image.id), not \(id)")
            }
            if let size = dependency.size, let own = image.layers.first?.size, size != own {
                throw RktError(.digestMismatch, "it has \(own) bytes, not \(size)")
            }
            return image
        }
    }

    /// Refuses images that need themselves.
    private static func checkOrder(_ record: ImageRecord, _ needed: [String: [String]]) throws {
        var done: Set<String> = []
        var path: Set<String> = []
        func visit(_ id: String) throws {
            if done.contains(id) { return }
            guard path.insert(id).inserted else {
                throw RktError(.invalidData, "image \(record.displayText): its dependencies lead back to \(id)")
            }
            for other in needed[id] ?? [] { try visit(other) }
            path.remove(id)
            done.insert(id)
        }
        try visit(record.id)
    }
}

extension ImageRecord {
    /// The image, for errors.
    fileprivate var displayText: String { names.first ?? id }
}
