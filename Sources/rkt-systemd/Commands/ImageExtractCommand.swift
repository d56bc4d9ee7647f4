internal import ArgumentParser
internal import ImageStore
internal import Pods

struct ImageExtractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extract",
        abstract: "Write the files of an image into a directory.",
        discussion:
            "The directory gets the image's manifest and its root file system in rootfs. An appc image is taken alone, without what it depends on; see also render."
            + " Files keep owners, modes and times, which needs root; the directory is root's alone, as there may be "
            + "set-uid programs in it. With --rootfs-only it is the root itself, with the mode that the image gives it."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Write the root file system only, as the directory itself.")
    var rootfsOnly = false

    @Flag(help: "Replace the directory, with all that is in it, if it exists.")
    var overwrite = false

    @Argument(help: "The image, by name or by the start of an id.")
    var image: String

    @Argument(help: "The directory to make.")
    var directory: String

    func run() throws {
        try Superuser.require()
        let data = try global.data()
        let store = try data.store()
        let options = TreeOptions(alone: true, rootfsOnly: rootfsOnly, overwrite: overwrite)
        try data.writeTree(of: try store.image(matching: image), from: store, to: directory, options: options)
    }
}
