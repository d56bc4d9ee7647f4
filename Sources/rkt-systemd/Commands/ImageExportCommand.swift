internal import ArgumentParser
internal import ImageStore
internal import Pods

struct ImageExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write an image to a file.",
        discussion:
            "An appc image is written as the ACI it is, any other one as an OCI image layout: in a tar, or in a directory "
            + "if the output's name ends with a slash. Fetched again, it is the same image. Another format converts it, "
            + "which needs root. The output appears when all of it is there; `-` is standard output."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Replace the output if it exists.")
    var overwrite = false

    @Option(help: ArgumentHelp("The form: aci, oci (a tar) or oci-dir.", valueName: "format"))
    var format: ImageFormatOption?

    @Argument(help: "The image, by name or by the start of an id.")
    var image: String

    @Argument(help: "The file to write.")
    var output: String

    func run() throws {
        let data = try global.data()
        let store = try data.store()
        let record = try store.image(matching: image)
        try data.export(record, from: store, to: output, as: format?.format, overwrite: overwrite)
    }
}

/// The values of `--format`.
enum ImageFormatOption: String, ExpressibleByArgument, CaseIterable {
    case aci, oci
    case ociDirectory = "oci-dir"

    var format: ImageFormat? { ImageFormat(rawValue: rawValue) }
}
