internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct CollectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "gc",
        abstract: "Remove pods that have ended some time ago.",
        discussion: """
            A pod that has ended is marked, and removed with its log when it has been marked for the grace period; \
            one whose run --rm was killed is removed at once. A \
            prepared pod that was never started is removed when it is old enough: also one whose rkt run was killed \
            before it had asked systemd for the start. What a preparation that ended early has left is removed at \
            once. Pods that run and pods that are enabled stay.
            """
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(help: ArgumentHelp("How long to keep a pod after its end was noticed.", valueName: "duration"))
    var gracePeriod = GoDuration(.seconds(30 * 60))

    @Option(help: ArgumentHelp("How long to keep a prepared pod that was never started.", valueName: "duration"))
    var expirePrepared = GoDuration(.seconds(24 * 3600))

    @Flag(help: "Only mark pods; remove nothing.")
    var markOnly = false

    func run() async throws {
        try Superuser.require()
        let grace = gracePeriod
        let failures = FailureCount()
        let collection = PodCollection(data: try global.data()) { event in
            switch event {
            case .marked(let uuid): StandardError.print("moving pod \"\(uuid)\" to garbage\n")
            case .markedFailedPreparation(let uuid):
                StandardError.print("moving failed prepare \"\(uuid)\" to garbage\n")
            case .markedExpired(let uuid):
                StandardError.print("moving expired prepared pod \"\(uuid)\" to garbage\n")
            case .removing(let uuid): print("Garbage collecting pod \"\(uuid)\"")
            case .kept(let uuid):
                StandardError.print("pod \"\(uuid)\" not removed: still within grace period (\(grace))\n")
            case .failed(let uuid, let error):
                failures.add()
                StandardError.print("gc: pod \"\(uuid)\": \(error)\n")
            }
        }
        try await collection.run(
            gracePeriod: gracePeriod.duration,
            expirePrepared: expirePrepared.duration,
            markOnly: markOnly
        )
        if failures.count > 0 { throw RktError(.failed, "\(failures.count) pod(s) could not be collected") }
    }
}
