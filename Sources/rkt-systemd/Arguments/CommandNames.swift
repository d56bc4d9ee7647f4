internal import Diagnostics

/// The command words, and how they may be shortened: `rkt im li` is `rkt image list`.
struct CommandNames: Sendable {
    /// A command's word, and the words below it.
    let name: String
    /// The commands below it; none for one that does something itself.
    let commands: [CommandNames]

    init(_ name: String, _ commands: [CommandNames] = []) {
        self.name = name
        self.commands = commands
    }

    /// Finds the word that a shortened one stands for.
    ///
    /// - Parameters:
    ///   - word: What the user typed.
    ///   - names: The words there are.
    /// - Returns: The word itself when it is one, or the only one that begins with it; nil when there is none.
    /// - Throws: ``RktError`` with `invalidArgument` when several begin with it, naming them.
    static func complete(_ word: String, among names: [String]) throws -> String? {
        if names.contains(word) { return word }
        guard !word.isEmpty else { return nil }
        let matches = names.filter { $0.hasPrefix(word) }
        guard matches.count > 1 else { return matches.first }
        throw RktError(
            .invalidArgument,
            "ambiguous command \(FlagValue.quoted(word)): it could be \(matches.joined(separator: ", "))"
        )
    }

    /// A command line with the command's words written out and in front; flags that stood before or between them
    /// follow.
    struct Line: Equatable {
        /// The words of the command, such as `["image", "list"]`; none when there was none.
        let command: [String]
        /// All the rest in its order.
        let arguments: [String]
    }

    /// Finds the command on a command line.
    ///
    /// - Parameters:
    ///   - arguments: The command line without the program's name.
    ///   - isSwitch: Whether a flag, named without its dashes, takes no value from the following word.
    /// - Returns: The command and the rest. Words behind a command that has none below it are its own.
    /// - Throws: ``RktError`` with `invalidArgument` for a word that is no command, or may be several.
    func split(_ arguments: [String], isSwitch: (String) -> Bool) throws -> Line {
        var command: [String] = []
        var flags: [String] = []
        var node = self
        var rest = arguments[...]
        while !node.commands.isEmpty, let word = rest.first {
            if word == "--" { break }
            rest.removeFirst()
            guard !word.hasPrefix("-") else {
                flags.append(word)
                let takesNext = word.hasPrefix("--") && !word.contains("=") && !isSwitch(String(word.dropFirst(2)))
                if takesNext, let value = rest.popFirst() { flags.append(value) }
                continue
            }
            let path = ([name] + command).joined(separator: " ")
            guard let name = try Self.complete(word, among: node.commands.map(\.name)),
                let next = node.commands.first(where: { $0.name == name })
            else {
                throw RktError(
                    .invalidArgument,
                    "unknown command \(FlagValue.quoted(word)) for \(FlagValue.quoted(path))"
                )
            }
            command.append(name)
            node = next
        }
        return Line(command: command, arguments: flags + rest)
    }
}
