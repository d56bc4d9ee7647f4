internal import Diagnostics

/// How a command tells on stderr that it failed.
struct ErrorReport {
    /// The command's last word, such as `run` or `list`.
    let command: String
    /// Whether to print every cause with its place in the source.
    let debug: Bool
    /// Whether stderr is a terminal: then names in messages cannot do anything to it.
    let isTerminal: Bool

    /// The report.
    ///
    /// - Parameter error: What was thrown.
    /// - Returns: `command: what failed: why`, the outermost and the innermost message, on one line; with `debug` all
    ///   messages, one a line. Ended by a line feed.
    func text(for error: any Error) -> String {
        let text = debug ? tree(error) : oneLine(error)
        let line = "\(command): \(text)"
        return (isTerminal ? TerminalText.sanitized(line, keeping: [.newline]) : line) + "\n"
    }

    private func oneLine(_ error: any Error) -> String {
        let messages = Self.messages(of: error)
        var parts = [messages.first, messages.count > 1 ? messages.last : nil].compactMap { $0 }
        // An empty message in between would leave two colons.
        parts.removeAll { $0.isEmpty }
        return String(parts.joined(separator: ": ").map { $0.isNewline ? " " : $0 })
    }

    private func tree(_ error: any Error) -> String {
        (error as? RktError)?.tree ?? "\(error)"
    }

    /// The messages of the chain, outermost first.
    private static func messages(of error: any Error) -> [String] {
        var result: [String] = []
        var next: (any Error)? = error
        while let error = next {
            if let error = error as? RktError {
                result.append(error.message)
                next = error.cause
            } else {
                result.append(error is CancellationError ? "cancelled" : "\(error)")
                next = nil
            }
        }
        return result
    }
}

/// The exit statuses of the command.
enum ExitStatus {
    /// All went well.
    static let success: Int32 = 0
    /// The failures that a few commands report with 1 instead.
    static let minor: Int32 = 1
    /// There is no command on the command line.
    static let missingCommand: Int32 = 2
    /// Any failure of rkt itself; apps may use all other statuses.
    static let failure: Int32 = 254

    /// The commands whose failures are all minor.
    private static let minorCommands: Set<[String]> = [["app", "sandbox"], ["app", "list"], ["app", "status"]]

    /// The status for an error.
    ///
    /// - Parameters:
    ///   - code: The error's code.
    ///   - command: The words of the command, such as `["image", "list"]`.
    /// - Returns: The status.
    static func of(_ code: RktError.Code, command: [String]) -> Int32 {
        minorCommands.contains(command) ? minor : failure
    }
}
