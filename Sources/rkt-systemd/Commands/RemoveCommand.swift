internal import ArgumentParser
internal import Pods

struct RemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove pods that do not run, with their logs."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @OptionGroup
    var selection: PodSelection

    func run() async throws {
        try Superuser.require()
        let data = try global.data()
        let lookup = PodLookup(data: data)
        let removal = PodRemoval(data: data)
        try await selection.forEach(command: "rm", summary: { _ in "failed to remove one or more pods" }) { text in
            let pod = try lookup.matching(text)
            try await removal.remove(pod)
            print("\"\(pod.uuid)\"")
        }
    }
}
