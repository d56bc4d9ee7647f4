internal import ArgumentParser
internal import ImageStore
internal import Pods

struct ImageValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Tell whether a file is a valid image, and where it is not.",
        discussion:
            "Looks at an ACI, an OCI image layout (a directory or a tar) or a `docker save` tar: at all of its parts, and at "
            + "layers to their ends. Nothing is stored or trusted; archives are unpacked into /var/tmp by confined processes "
            + "for the time. The exit status is 254 for what is not valid. Run by root it also finds what only shows when "
            + "files get their owners and kinds."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Argument(help: "The file or directory.")
    var path: String

    func run() throws {
        let found = try ImageCheck.validate(path)
        let kind = found.kind.map(\.rawValue) ?? "image"
        var lines: [String] = []
        if found.problems.isEmpty {
            lines = ["\(path): valid \(kind)"] + found.images.map { "  \($0)" }
        } else {
            let count = "\(found.problems.count)\(found.hasMore ? " and more" : "")"
            lines = ["\(path): not a valid \(kind), \(count) problem\(found.problems.count == 1 ? "" : "s")"]
            lines += found.problems.map { "  \($0.place): \($0.message)" }
        }
        for line in lines { print(TerminalText.forOutput(String(line.map { $0.isNewline ? " " : $0 }))) }
        if !found.problems.isEmpty { throw ExitCode(ExitStatus.failure) }
    }
}
