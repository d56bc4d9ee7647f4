internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Print what a pod's apps have written, while it runs and after."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(help: ArgumentHelp("Only this app; may be given several times.", valueName: "name"))
    var app: [String] = []

    @Flag(name: [.long, .short], help: "Go on printing until the pod has ended.")
    var follow = false

    @Option(name: [.customShort("n"), .customLong("lines")], help: "Print only the last so many lines.")
    var lines: UInt64?

    @Argument(help: "The pod, by UUID or the start of one.")
    var uuid: String

    func run() async throws {
        let data = try global.data()
        let pod = try PodLookup(data: data).matching(uuid)
        let logs = try PodLogs(of: pod, apps: app)
        let printer = LogPrinter()
        let runs = try pod.state() == .running
        // Which lines are the last is known when all are there.
        if !runs { _ = try await logs.drain(deadline: .now + .seconds(10)) }
        if let lines { try logs.skip(toLast: lines) }
        try printer.printAll(logs)
        guard follow, runs else { return }
        let uuid = pod.uuid
        let follower = Task { try await PodRunner.follow(logs, printer) }
        try await PodWaiting(data: data).untilEnded(uuid, timeout: nil)
        _ = try await logs.drain(deadline: .now + .seconds(10))
        follower.cancel()
        _ = try? await follower.value
        logs.reopen()
        try printer.printAll(logs)
    }
}
