internal import ArgumentParser

struct ImageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "image",
        abstract: "Look at, export, check and remove images in the store.",
        subcommands: [
            ImageListCommand.self, ImageRemoveCommand.self, ImageCollectCommand.self, ImageCatManifestCommand.self,
            ImageDiscoverCommand.self,
            ImageExportCommand.self, ImageExtractCommand.self, ImageRenderCommand.self, ImageVerifyCommand.self,
            ImageValidateCommand.self,
        ]
    )
}
