internal import ArgumentParser
internal import Diagnostics
internal import ImageStore
internal import Pods

struct ImageRemoveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rm",
        abstract: "Remove images from the store."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Argument(help: ArgumentHelp("The images, by name or by the start of an id.", valueName: "image"))
    var images: [String] = []

    func run() throws {
        guard !images.isEmpty else { throw RktError(.invalidArgument, "must provide at least one image") }
        let data = try global.data()
        let store = try data.store()
        var removed: Set<String> = []
        var named: Set<String> = []
        var failures = 0
        for text in images {
            do {
                guard named.insert(text).inserted else { continue }
                let record = try store.image(matching: text)
                try data.remove(record, from: store)
                removed.insert(record.id)
                print("successfully removed aci for image: \"\(record.id)\"")
            } catch {
                // One that is not there is no failed removal.
                if (error as? RktError)?.code != .notFound { failures += 1 }
                let report = ErrorReport(command: "rm", debug: global.debug, isTerminal: TerminalText.isTerminal(2))
                StandardError.print(report.text(for: error))
            }
        }
        StandardError.print("rm: \(removed.count) image(s) successfully removed\n")
        if failures > 0 { throw ExitCode(ExitStatus.failure) }
    }
}
