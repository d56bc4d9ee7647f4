internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct RunPreparedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run-prepared",
        abstract: "Run a prepared pod."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Return when the pod has started.")
    var detach = false

    @Flag(name: .customLong("rm"), help: "Remove the pod, its files and its log when it has ended.")
    var isTemporary = false

    @Argument(help: "The pod, by UUID or the start of one.")
    var uuid: String

    func run() async throws {
        if detach, isTemporary { throw RunFlags.cannotRemoveDetached }
        try Superuser.require()
        PodControl.anticipateStart()
        let data = try global.data()
        let pod = try PodLookup(data: data).matching(uuid)
        guard try pod.state() == .prepared else {
            throw RktError(.wrongState, "pod \"\(pod.uuid)\" is not prepared")
        }
        let ahead = StartAhead()
        ahead.begin()
        let runner = PodRunner(data, ahead: ahead, debug: global.debug, stages: global.stages("run-prepared"))
        throw ExitCode(try await runner.run(pod, detached: detach, removing: isTemporary))
    }
}
