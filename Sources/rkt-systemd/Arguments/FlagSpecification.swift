internal import Diagnostics

/// One flag of a command: how it is written and what its values may be. The table of them drives parser and help.
struct FlagSpecification: Sendable {
    /// What a flag belongs to.
    enum Scope: Sendable {
        /// The command as a whole: may stand before the command's name too.
        case global
        /// The pod: may stand anywhere.
        case pod
        /// The image in front of it.
        case app
    }

    /// How a flag takes its value.
    enum ValueKind: Sendable, Equatable {
        /// `--flag` is true; a value needs the `=`.
        case bool
        /// `--flag value` or `--flag=value`.
        case required
        /// `--flag=value`, or `--flag` for the given value; a value needs the `=`.
        case optional(bare: String)
    }

    /// What happens when a flag is given again.
    enum Repetition: Sendable {
        /// The last value counts.
        case lastWins
        /// All values count.
        case collects
        /// All values, each `KEY=VALUE`, count; a key that is there already is an error.
        case collectsKeys
        /// It is an error, for each image.
        case once
        /// It is an error, as any other flag of these is.
        case oneOf([String])
    }

    /// The name without dashes.
    let name: String
    /// What it belongs to.
    let scope: Scope
    /// How it takes its value.
    let kind: ValueKind
    /// What happens when it is given again.
    let repetition: Repetition
    /// The name the value is kept under: another flag's for an alias.
    let key: String
    /// One line of help; nil for flags that help does not show.
    let help: String?
    /// Throws when a value cannot be, with the reason alone: the flag is named by the parser.
    let check: @Sendable (String) throws -> Void

    init(
        _ name: String,
        _ scope: Scope,
        _ kind: ValueKind = .required,
        _ repetition: Repetition = .lastWins,
        key: String? = nil,
        help: String?,
        check: @escaping @Sendable (String) throws -> Void = { _ in }
    ) {
        self.name = name
        self.scope = scope
        self.kind = kind
        self.repetition = repetition
        self.key = key ?? name
        self.help = help
        self.check = { value in
            if kind == .bool { _ = try FlagValue.bool(value) }
            try check(value)
        }
    }
}

/// The values of flags as they were given, checked.
struct FlagValues: Sendable, Equatable {
    private var values: [String: [String]] = [:]

    /// The value of a flag; the last when it was given several times.
    ///
    /// - Parameter name: The flag's name.
    /// - Returns: Nil when it was not given.
    func string(_ name: String) -> String? { values[name]?.last }

    /// All values of a flag, in order.
    ///
    /// - Parameter name: The flag's name.
    /// - Returns: Nothing when it was not given.
    func strings(_ name: String) -> [String] { values[name] ?? [] }

    /// The value of a yes-or-no flag.
    ///
    /// - Parameter name: The flag's name.
    /// - Returns: Nil when it was not given.
    func bool(_ name: String) -> Bool? { string(name).flatMap { try? FlagValue.bool($0) } }

    /// The values of a `KEY=VALUE` flag, in order; of equal keys only the last.
    ///
    /// - Parameter name: The flag's name.
    /// - Returns: Nothing when it was not given.
    func pairs(_ name: String) -> [(key: String, value: String)] {
        var result: [(key: String, value: String)] = []
        for pair in strings(name).compactMap({ FlagValue.pair($0) }) {
            result.removeAll { FlagValue.isSame($0.key, pair.key) }
            result.append(pair)
        }
        return result
    }

    /// The items of a comma-separated flag; the last time it was given counts.
    ///
    /// - Parameter name: The flag's name.
    /// - Returns: Nil when it was not given.
    func list(_ name: String) -> [String]? { string(name).map { FlagValue.list($0) } }

    /// Keeps a value that was checked.
    mutating func set(_ value: String, of flag: FlagSpecification) {
        switch flag.repetition {
        case .collects, .collectsKeys: values[flag.key, default: []].append(value)
        case .lastWins, .once, .oneOf: values[flag.key] = [value]
        }
    }
}
