internal import ArgumentParser
internal import Diagnostics
internal import Manifests
internal import Pods

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show where a pod stands.")

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var selection: PodSelection

    @Option(help: ArgumentHelp("Wait until the pod has ended, at most so long.", valueName: "duration"))
    var wait = WaitLimit.none

    @Option(help: ArgumentHelp("Wait until the pod is ready, at most so long.", valueName: "duration"))
    var waitReady = WaitLimit.none

    @Option(help: ArgumentHelp("Print json or json-pretty instead of lines.", valueName: "format"))
    var format: PodFormat?

    func run() async throws {
        let data = try global.data()
        let lookup = PodLookup(data: data)
        guard let text = try selection.texts().first, try selection.texts().count == 1 else {
            throw RktError(.invalidArgument, "status takes one pod")
        }
        let uuid = try lookup.matching(text).uuid
        let waiting = PodWaiting(data: data)
        if waitReady != .none { try await waiting.untilReady(uuid, timeout: waitReady.timeout) }
        if wait != .none {
            try await waiting.untilEnded(uuid, timeout: wait.timeout)
            // Who waited may read the journal himself; that it can be waited for, too, is not what was asked.
            if let pod = try lookup.exactly(uuid) {
                _ = try? await PodLogs(of: pod).drain(deadline: .now + .seconds(10))
            }
        }
        let summary = try PodSummary(of: try lookup.matching(uuid.description))
        if let format {
            print(try JSONText.encode(PodDocument(summary), format.layout))
        } else {
            print(Self.lines(summary).joined(separator: "\n"))
        }
    }

    /// The lines, as rkt 1.30 printed them.
    private static func lines(_ pod: PodSummary) -> [String] {
        var lines = ["state=\(pod.state.rawValue)"]
        if let created = pod.createdAt { lines.append("created=\(HumanTime.full(created))") }
        if let started = pod.startedAt { lines.append("started=\(HumanTime.full(started))") }
        if let stage1 = pod.stage1 { lines.append("stage1=\(stage1)") }
        let hasRun: Set<PodState> = [.running, .exited, .exitedDeleting, .exitedGarbage, .deleting]
        guard hasRun.contains(pod.state) else { return lines }
        if pod.state == .running || pod.state == .exited { lines.append("networks=") }
        if let pid = pod.pid { lines.append("pid=\(pid)") }
        lines.append("exited=\(pod.state == .exited || pod.state == .exitedGarbage)")
        for app in pod.apps {
            if let status = app.exitStatus { lines.append("app-\(app.name)=\(status)") }
        }
        return lines
    }
}
