internal import ArgumentParser

struct ImageRenderCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "render",
        abstract: "Write the files of an image, as an app would see them, into a directory.",
        discussion: "The directory gets the image's manifest and its root file system in rootfs. An appc image is "
            + "merged with what it depends on, and limited to its pathWhitelist." + TreeArguments.discussion
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var arguments: TreeArguments

    func run() throws { try arguments.write(global, alone: false) }
}
