internal import ArgumentParser

/// Brings a command line into the order that the parser knows: the command's words in full, then the flags.
///
/// rkt takes flags before the command's words too (`rkt --dir=/x list`), command names by any start that is unique
/// (`rkt im li`), and boolean flags with a value (`--full=true`).
enum CommandLineOrder {
    /// Commands whose words follow a grammar of their own.
    private static let passThrough: Set<String> = ["run", "prepare"]

    /// Flags that are true when they are there.
    private static let switches: Set<String> = [
        "debug", "no-legend", "full", "force", "quiet", "detach", "rm", "follow", "mark-only", "pretty-print",
        "trust-keys-from-https", "help", "net", "root", "skip-fingerprint-review", "insecure-allow-http", "list",
    ]

    /// Flags that take a value, or mean something without one.
    private static let waits: Set<String> = ["--wait", "--wait-ready"]

    /// The words in the parser's order.
    ///
    /// - Parameter words: The words of the command line, without the program's.
    /// - Returns: The words.
    /// - Throws: ``RktError`` for a word that is no command, or may be several.
    static func normalized(_ words: [String]) throws -> [String] {
        if words.first == "help" { return try normalized(words.dropFirst() + ["--help"]) }
        let line = try names(of: Rkt.self).split(words, isSwitch: switches.contains)
        if line.command.first.map(passThrough.contains) ?? true { return line.command + line.arguments }
        return line.command + line.arguments.flatMap(plain)
    }

    private static func names(of type: any ParsableCommand.Type) -> CommandNames {
        // Those in groups are among them.
        let children = type.configuration.subcommands
        return CommandNames(type._commandName, children.map(names))
    }

    /// `--flag=true` as `--flag`, `--flag=false` as nothing, `--wait` as `--wait=true`; other words as they are.
    private static func plain(_ word: String) -> [String] {
        if waits.contains(word) { return ["\(word)=true"] }
        guard word.hasPrefix("--"), let equals = word.utf8.firstIndex(of: UInt8(ascii: "=")) else { return [word] }
        let flag = String(word[word.index(word.startIndex, offsetBy: 2)..<equals])
        guard switches.contains(flag), let value = try? FlagValue.bool(String(word[word.utf8.index(after: equals)...]))
        else {
            return [word]
        }
        if flag == "pretty-print" { return [value ? "--pretty-print" : "--no-pretty-print"] }
        return value ? ["--\(flag)"] : []
    }
}
