internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List pods.")

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Print no line of titles.")
    var noLegend = false

    @Flag(help: "Print whole UUIDs, image ids and times.")
    var full = false

    @Option(help: ArgumentHelp("Print json or json-pretty instead of a table.", valueName: "format"))
    var format: PodFormat?

    func run() throws {
        let pods = try PodLookup(data: try global.data()).all()
        var summaries: [PodSummary] = []
        var problems: [String] = []
        for pod in pods {
            do {
                let summary = try PodSummary(of: pod)
                if let problem = summary.problem { problems.append("pod \"\(pod.uuid)\": \(problem)") }
                summaries.append(summary)
            } catch {
                problems.append("pod \"\(pod.uuid)\": \(error)")
            }
        }
        if let format {
            print(summaries.isEmpty ? "null" : try JSONText.encode(summaries.map(PodDocument.init), format.layout))
        } else {
            let table = PodTable(full: full, legend: !noLegend)
            print(TerminalText.forOutput(table.text(summaries)), terminator: "")
        }
        report(problems)
    }

    /// One pod that cannot be read must not hide the others: the list is printed, and the exit status stays 0.
    private func report(_ problems: [String]) {
        if problems.isEmpty { return }
        let line = String(repeating: "-", count: 40)
        var text = "\(problems.count) error(s) encountered when listing pods:\n\(line)\n"
        for problem in problems { text += "\(problem)\n\(line)\n" }
        text += "misc:\n  rkt's appc version: 0.8.11\n\n"
        StandardError.print(text)
    }
}

/// The values of `--format`.
enum PodFormat: String, ExpressibleByArgument {
    case json
    case jsonPretty = "json-pretty"

    var layout: JSONText.Layout { self == .json ? .compact : .pretty }
}
