internal import Diagnostics
public import ImageStore
internal import LinuxOS
internal import Manifests

extension DataDirectory {
    /// The image store, made if it is missing.
    ///
    /// - Returns: The store.
    /// - Throws: ``RktError`` when it cannot be opened or made.
    public func store() throws -> ImageStore { try ImageStore(root: storePath, create: true) }

    /// Removes an image from the store.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - store: The store it is in.
    /// - Throws: ``RktError`` when it may not be removed. What pods use of it stays.
    public func remove(_ record: ImageRecord, from store: ImageStore) throws {
        try store.remove(record, inUseLayers: try layersInUse())
    }

    /// Removes the images and layers that neither a pod nor anybody lately has used.
    ///
    /// - Parameter grace: How long an image stays after its last use.
    /// - Returns: What was removed.
    /// - Throws: ``RktError`` when the store may not be changed.
    public func collectImages(grace: Duration) throws -> GarbageReport {
        let images = try imagesInUse()
        return try store().collectGarbage(grace: grace, inUseLayers: try layersInUse(), inUseImages: images)
    }

    /// The layers that pods use: a pod may outlive its image in the store.
    func layersInUse() throws -> Set<Digest> {
        try PodLookup(data: self).all().reduce(into: []) { $0.formUnion($1.layersInUse) }
    }

    /// The ids of the images that pods use.
    func imagesInUse() throws -> Set<String> {
        try PodLookup(data: self).all().reduce(into: []) { $0.formUnion($1.imagesInUse) }
    }
}
