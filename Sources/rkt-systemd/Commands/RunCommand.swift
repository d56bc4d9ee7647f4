internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run images as a pod.",
        usage: "rkt run [FLAGS] IMAGE [APP-FLAGS] [-- ARG… [---]] [IMAGE …]",
        discussion: """
            In the foreground, what the apps write is printed, each line with its app's name before it; the exit \
            status is that of the first app that failed. Interrupting stops the pod.
            """
    )

    @Argument(parsing: .captureForPassthrough)
    var words: [String] = []

    func run() async throws { try await Self.run(words) }

    /// Carries the command out.
    ///
    /// - Parameter words: The words behind the command's.
    /// - Throws: `RktError` for what was wrong; `ExitCode` for the status to end with.
    static func run(_ words: [String]) async throws {
        let insecureNames = InsecureOptions.names.map(\.0)
        let table = RunFlags.run(insecureOptions: insecureNames)
        let arguments = try RunArguments.parse(words, flags: table)
        if arguments.isHelpWanted {
            print(Rkt.helpMessage(for: Self.self) + "\n" + FlagHelp.text(table))
            return
        }
        try RunFlags.validate(arguments)
        try Superuser.require()
        PodControl.anticipateStart()
        let context = try PodRequestContext(arguments, command: "run")
        let ahead = StartAhead()
        let pod = try context.prepare(ahead: ahead)
        let runner = PodRunner(context.data, ahead: ahead, debug: context.debug, stages: context.stages)
        let flags = arguments.podFlags
        let status: Int32
        do {
            status = try await runner.run(
                pod,
                detached: flags.bool("detach") ?? false,
                removing: flags.bool("rm") ?? false
            )
        } catch {
            // Where systemd could not even be asked, nothing has changed.
            PodPreparation.takeBack(pod.uuid, in: context.data)
            throw error
        }
        throw ExitCode(status)
    }
}
