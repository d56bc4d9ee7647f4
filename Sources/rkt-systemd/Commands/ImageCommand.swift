internal import ArgumentParser

struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "Look at and remove images in the store.",
        subcommands: [
            ImageListCommand.self, ImageRemoveCommand.self, ImageCollectCommand.self, ImageCatManifestCommand.self,
        ]
    )
}
