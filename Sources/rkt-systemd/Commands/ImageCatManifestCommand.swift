internal import ArgumentParser
internal import ImageStore
internal import Pods

struct ImageCatManifestCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cat-manifest",
        abstract: "Print an image's manifest."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(inversion: .prefixedNo, help: "Indent the manifest.")
    var prettyPrint = true

    @Argument(help: "The image, by name or by the start of an id.")
    var image: String

    func run() throws {
        let store = try global.data().store()
        let bytes = try store.manifestJSON(of: try store.image(matching: image))
        print(try ManifestText.text(bytes, name: "the manifest of image \"\(image)\"", pretty: prettyPrint))
    }
}
