/// What of an image is written as a tree of files.
public struct TreeOptions: Sendable {
    /// Whether an appc image is taken as it is, without what it depends on.
    public var alone: Bool
    /// Whether only the root file system is written, without a manifest beside it.
    public var rootfsOnly: Bool
    /// Whether a directory that is there is removed first.
    public var overwrite: Bool

    /// Makes options.
    ///
    /// - Parameters:
    ///   - alone: Whether an appc image is taken as it is.
    ///   - rootfsOnly: Whether only the root file system is written.
    ///   - overwrite: Whether a directory that is there is removed first.
    public init(alone: Bool, rootfsOnly: Bool, overwrite: Bool) {
        self.alone = alone
        self.rootfsOnly = rootfsOnly
        self.overwrite = overwrite
    }
}
