internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "stop", abstract: "Stop running pods.")

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var selection: PodSelection

    @Flag(help: "Kill the apps instead of letting them end.")
    var force = false

    func run() async throws {
        let data = try global.data()
        let lookup = PodLookup(data: data)
        let control = PodControl(data: data)
        try await selection.forEach(command: "stop", summary: { "failed to stop \($0) pod(s)" }) { text in
            let uuid = try lookup.matching(text).uuid
            if try await control.stop(uuid, force: force) {
                print("\"\(uuid)\"")
            } else {
                print("pod \"\(uuid)\" is already stopped")
            }
        }
    }
}

/// Pods named on the command line or in a file.
struct PodSelection: ParsableArguments {
    @Argument(help: ArgumentHelp("The pods, by UUID or the start of one.", valueName: "uuid"))
    var uuids: [String] = []

    @Option(help: ArgumentHelp("Read the UUID from a file.", valueName: "file"))
    var uuidFile: String?

    /// The UUIDs, or their starts, as the user gave them.
    func texts() throws -> [String] {
        guard let uuidFile else {
            guard !uuids.isEmpty else {
                throw RktError(.invalidArgument, "name a pod's UUID, or a file with --uuid-file")
            }
            return uuids
        }
        guard uuids.isEmpty else {
            throw RktError(.invalidArgument, "both UUIDs and --uuid-file given: only one of them can be meant")
        }
        return [try UUIDFile.read(uuidFile)]
    }

    /// Does something for each pod; all are tried, and each failure is told.
    func forEach(command: String, summary: (Int) -> String, _ body: (String) async throws -> Void) async throws {
        var failures = 0
        for text in try texts() {
            do {
                try await body(text)
            } catch {
                failures += 1
                let report = ErrorReport(command: command, debug: false, isTerminal: TerminalText.isTerminal(2))
                StandardError.print(report.text(for: error))
            }
        }
        if failures > 0 { throw RktError(.failed, summary(failures)) }
    }
}
