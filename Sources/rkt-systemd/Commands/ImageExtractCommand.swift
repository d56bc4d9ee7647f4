internal import ArgumentParser

struct ImageExtractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extract",
        abstract: "Write the files of an image into a directory.",
        discussion: "The directory gets the image's manifest and its root file system in rootfs. An appc image is "
            + "taken alone, without what it depends on; see also render." + TreeArguments.discussion
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var arguments: TreeArguments

    func run() throws { try arguments.write(global, alone: true) }
}
