internal import Manifests

extension AppcDiscovery: KeyDiscovery {
    /// Asks the owner of a prefix.
    ///
    /// - Parameter prefix: The beginning of images' names.
    /// - Returns: The URLs of keys, at least one.
    /// - Throws: `RktError` with `notFound` naming all that was asked.
    public func keyLocations(for prefix: String) throws -> [String] {
        try keys(for: try ACIdentifier(prefix)).keys.map(\.location)
    }
}
