internal import ArgumentParser
internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Pods

/// The command `rkt`. One file per command in `Commands/`: each parses, calls a library, and prints.
@main
struct Rkt: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rkt",
        abstract: "Run containers as pods of systemd units.",
        discussion: """
            A pod is a set of systemd units: `systemctl status pod@UUID`, `machinectl list`, `journalctl -M rkt-UUID` \
            work on it as on anything else. No daemon runs.
            """,
        subcommands: [],
        groupedSubcommands: [
            CommandGroup(
                name: "Pods",
                subcommands: [
                    RunCommand.self, PrepareCommand.self, RunPreparedCommand.self, ListCommand.self,
                    StatusCommand.self, StopCommand.self, LogsCommand.self, RemoveCommand.self, CollectCommand.self,
                    CatManifestCommand.self,
                ]
            ),
            CommandGroup(name: "Images", subcommands: [FetchCommand.self, ImageCommand.self, TrustCommand.self]),
            CommandGroup(name: "Other", subcommands: [ConfigCommand.self, VersionCommand.self]),
        ]
    )

    static func main() async {
        StandardDescriptors.occupy()
        // What a script asks in a loop needs none of the parser's reflection.
        if CommandLine.arguments.dropFirst() == ["version"] {
            VersionCommand.show()
            Glibc.exit(ExitStatus.success)
        }
        do {
            try RawArguments.check(RawArguments.all)
        } catch {
            StandardError.print("rkt: \(error)\n")
            Glibc.exit(ExitStatus.failure)
        }
        var words = Array(CommandLine.arguments.dropFirst())
        guard !words.isEmpty else {
            StandardError.print("rkt: missing command\n")
            print(Rkt.helpMessage())
            Glibc.exit(ExitStatus.missingCommand)
        }
        do {
            words = try CommandLineOrder.normalized(words)
            FetchAhead.begin(for: words)
            // These two have a grammar of their own, which the parser's would not let through (`---`).
            switch words.first {
            case "run": try await RunCommand.run(Array(words.dropFirst()))
            case "prepare": try await PrepareCommand.run(Array(words.dropFirst()))
            default: try await Self.runParsed(words)
            }
        } catch let status as ExitCode {
            Glibc.exit(status.rawValue)
        } catch {
            Glibc.exit(report(error, words: words))
        }
    }

    private static func runParsed(_ words: [String]) async throws {
        var command = try parseAsRoot(words)
        if var command = command as? any AsyncParsableCommand {
            try await command.run()
        } else {
            try command.run()
        }
    }

    /// Prints an error, or the help that was asked for.
    ///
    /// - Returns: The exit status.
    private static func report(_ error: any Error, words: [String]) -> Int32 {
        let leaf = words.prefix { !$0.hasPrefix("-") }.prefix(2)
        let name = leaf.first == "image" ? leaf.last : leaf.first
        if error is RktError || !(error is CleanExit) && exitCode(for: error) == .failure {
            let report = ErrorReport(
                command: name ?? "rkt",
                debug: words.contains("--debug"),
                isTerminal: TerminalText.isTerminal(2)
            )
            StandardError.print(report.text(for: error))
            return (error as? RktError).map { ExitStatus.of($0.code, command: Array(leaf)) } ?? ExitStatus.failure
        }
        if exitCode(for: error) == .success {
            print(fullMessage(for: error))
            return ExitStatus.success
        }
        StandardError.print("\(name ?? "rkt"): \(message(for: error))\n")
        return ExitStatus.failure
    }
}

/// Standard error; results go to standard output.
enum StandardError {
    /// Prints some text as it is.
    static func print(_ text: String) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(2, $0.baseAddress.map { $0 + written }, bytes.count - written) }
            if count <= 0 { return }
            written += count
        }
    }
}
