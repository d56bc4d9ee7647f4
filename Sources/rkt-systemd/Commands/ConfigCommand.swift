internal import ArgumentParser
internal import Pods

struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config",
        abstract: "Print the configuration that all files together make, as JSON.",
        discussion: "Each element could stand in a configuration file itself. Passwords and tokens are printed too."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(inversion: .prefixedNo, help: "Indent the output.")
    var prettyPrint = true

    func run() throws {
        let configuration = try EffectiveConfiguration(
            directories: global.directories,
            data: try global.data().path,
            stage1Images: try Installation().stage1Images
        )
        print(TerminalText.forOutput(try JSONText.encode(configuration, prettyPrint ? .pretty : .compact)))
    }
}
