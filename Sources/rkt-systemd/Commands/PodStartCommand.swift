internal import ArgumentParser
internal import Diagnostics
internal import Glibc
internal import Manifests
internal import Pods

/// What `pod@.service` runs; not for users.
struct PodStartCommand: AsyncParsableCommand {
    static let name = "pod-start"
    static let configuration = CommandConfiguration(
        commandName: name,
        abstract: "Start a pod as the main process of its unit.",
        shouldDisplay: false
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Argument(help: "The pod's UUID.")
    var uuid: String

    func run() async throws {
        throw ExitCode(await Self.start(uuid))
    }

    /// Starts a pod, reporting to the journal.
    ///
    /// - Parameter text: The pod's UUID.
    /// - Returns: The exit status.
    static func start(_ text: String) async -> Int32 {
        do {
            guard let uuid = PodUUID(text) else {
                throw RktError(.invalidArgument, "\"\(text)\" is not a pod's UUID: pod@.service takes a whole one")
            }
            guard getenv("NOTIFY_SOCKET") != nil else {
                throw RktError(.wrongState, "only systemd runs this: systemctl start pod@\(uuid)")
            }
            let starter = PodStart(
                data: DataDirectory.ofPod(uuid),
                installation: try Installation(),
                stages: GlobalOptions.stages(name, wanted: getenv("RKT_DEBUG") != nil)
            )
            let stopper = Task {
                for await _ in SignalStream.catching([SIGTERM]) {
                    await starter.abandon(uuid)
                    Glibc.exit(0)
                }
            }
            defer { stopper.cancel() }
            return try await starter.run(uuid)
        } catch {
            let report = ErrorReport(command: name, debug: false, isTerminal: false)
            StandardError.print(report.text(for: error))
            return ExitStatus.failure
        }
    }
}
