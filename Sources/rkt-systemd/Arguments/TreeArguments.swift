internal import ArgumentParser
internal import ImageStore
internal import Pods

/// What `image extract` and `image render` take, which write the files of an image into a directory.
struct TreeArguments: ParsableArguments {
    @Flag(help: "Write the root file system only, as the directory itself.")
    var rootfsOnly = false

    @Flag(help: "Replace the directory, with all that is in it, if it exists.")
    var overwrite = false

    @Argument(help: "The image, by name or by the start of an id.")
    var image: String

    @Argument(help: "The directory to make.")
    var directory: String

    /// What the help of both says about the directory.
    static let discussion =
        " Files keep owners, modes and times, which needs root; the directory is root's alone, as there may be "
        + "set-uid programs in it. With --rootfs-only it is the root itself, with the mode that the image gives it."

    /// Writes the files.
    ///
    /// - Parameters:
    ///   - global: Where the image is.
    ///   - alone: Whether an appc image is taken without what it depends on.
    /// - Throws: `RktError` when the user is not root, there is no such image, or its files cannot be written.
    func write(_ global: GlobalOptions, alone: Bool) throws {
        try Superuser.require()
        let data = try global.data()
        let store = try data.store()
        let options = TreeOptions(alone: alone, rootfsOnly: rootfsOnly, overwrite: overwrite)
        try data.writeTree(of: try store.image(matching: image), from: store, to: directory, options: options)
    }
}
