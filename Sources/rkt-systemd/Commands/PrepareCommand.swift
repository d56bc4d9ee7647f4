internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct PrepareCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prepare",
        abstract: "Prepare a pod without starting it.",
        usage: "rkt prepare [FLAGS] IMAGE [APP-FLAGS] [-- ARG… [---]] [IMAGE …]",
        discussion: "Prints the pod's UUID: `systemctl start pod@UUID` starts it, `systemctl enable` at every boot."
    )

    @Argument(parsing: .captureForPassthrough)
    var words: [String] = []

    func run() async throws { try await Self.run(words) }

    /// Carries the command out.
    ///
    /// - Parameter words: The words behind the command's.
    /// - Throws: `RktError` for what was wrong; `ExitCode` for the status to end with.
    static func run(_ words: [String]) async throws {
        let table = RunFlags.prepare(insecureOptions: InsecureOptions.names.map(\.0))
        let arguments = try RunArguments.parse(words, flags: table)
        if arguments.isHelpWanted {
            print(Rkt.helpMessage(for: Self.self) + "\n" + FlagHelp.text(table))
            return
        }
        try RunFlags.validate(arguments)
        try Superuser.require()
        let context = try PodRequestContext(arguments, command: "prepare")
        print(try context.prepare().uuid)
    }
}
