internal import Diagnostics

/// What the command line of `run` or `prepare` says: `[FLAGS] [IMAGE [per-app FLAGS] [-- ARG… [---]]]…`.
struct RunArguments: Sendable, Equatable {
    /// The flags of the pod, and the global ones.
    var podFlags = FlagValues()
    /// The images in order, each with what is said of it.
    var apps: [AppArguments] = []
    /// Whether `--help` was asked for; then the rest was not read.
    var isHelpWanted = false

    /// What the command line says of one image.
    struct AppArguments: Sendable, Equatable {
        /// The image, as written.
        let image: String
        /// The flags behind it.
        var flags = FlagValues()
        /// The arguments between `--` and `---`.
        var arguments: [String] = []
    }

    /// Reads a command line.
    ///
    /// - Parameters:
    ///   - arguments: What follows the command's name.
    ///   - flags: The flags of the command.
    /// - Returns: What it says; that the flags fit each other is checked elsewhere.
    /// - Throws: ``RktError`` with `invalidArgument` or `unsupported`, as `error parsing app image arguments: …`.
    static func parse(_ arguments: [String], flags: FlagTable) throws -> RunArguments {
        try withContext("error parsing app image arguments") {
            var parser = RunArgumentsParser(arguments, flags)
            try parser.parse()
            return parser.result
        }
    }
}

/// The flags of a command by name.
struct FlagTable: Sendable {
    /// The flags in the order in which help shows them.
    let flags: [FlagSpecification]
    private let byName: [String: FlagSpecification]

    /// Makes a table.
    ///
    /// - Parameter flags: The flags; of two with the same name the first counts.
    init(_ flags: [FlagSpecification]) {
        self.flags = flags
        byName = Dictionary(flags.map { ($0.name, $0) }) { first, _ in first }
    }

    /// The flag of a name without dashes.
    subscript(name: String) -> FlagSpecification? { byName[name] }
}

/// Reads one token after the other.
private struct RunArgumentsParser {
    private(set) var result = RunArguments()
    private var rest: ArraySlice<String>
    private let table: FlagTable
    // Whether the last image has had its `--`.
    private var hasArguments = false

    init(_ arguments: [String], _ table: FlagTable) {
        rest = arguments[...]
        self.table = table
    }

    mutating func parse() throws {
        while let token = rest.popFirst() {
            switch token {
            // Empty ones come from unset variables in scripts; a `---` without its `--` ends nothing.
            case "", "---": continue
            case "--": try readArguments()
            case "--help", "-h":
                result.isHelpWanted = true
                return
            case _ where token.hasPrefix("--"): try readFlag(token)
            case _ where token.hasPrefix("-") && token != "-":
                let letter = token.dropFirst().prefix(1)
                throw RktError(.invalidArgument, "unknown shorthand flag: '\(letter)' in \(FlagValue.quoted(token))")
            default:
                result.apps.append(RunArguments.AppArguments(image: token))
                hasArguments = false
            }
        }
    }

    /// Reads the arguments of the last image up to `---` or the end.
    private mutating func readArguments() throws {
        guard !result.apps.isEmpty else {
            throw RktError(.invalidArgument, "an image is required before any app arguments")
        }
        guard !hasArguments else {
            throw RktError(.invalidArgument, "only one set of app arguments allowed per image")
        }
        hasArguments = true
        let end = rest.firstIndex(of: "---") ?? rest.endIndex
        result.apps[result.apps.count - 1].arguments = Array(rest[..<end])
        rest = rest[end...].dropFirst()
    }

    private mutating func readFlag(_ token: String) throws {
        let body = token.dropFirst(2)
        guard let first = body.first, first != "-", first != "=" else {
            throw RktError(.invalidArgument, "bad flag syntax: \(token)")
        }
        let equals = body.utf8.firstIndex(of: UInt8(ascii: "="))
        let name = String(body[..<(equals ?? body.endIndex)])
        guard let flag = table[name] else {
            throw RktError(.invalidArgument, "unknown flag: --\(TerminalText.sanitized(name))")
        }
        let value = try value(of: flag, token, equals.map { String(body[body.utf8.index(after: $0)...]) })
        if flag.scope == .app {
            guard !result.apps.isEmpty else {
                throw RktError(.invalidArgument, "--\(name) must follow an image")
            }
        }
        do {
            try flag.check(value)
        } catch let error as RktError where error.code == .invalidArgument {
            throw RktError(
                .invalidArgument,
                "invalid argument \(FlagValue.quoted(value)) for --\(name): \(error.message)"
            )
        }
        try keep(value, of: flag)
    }

    private mutating func value(of flag: FlagSpecification, _ token: String, _ written: String?) throws -> String {
        if let written { return written }
        switch flag.kind {
        case .bool: return "true"
        case .optional(let bare): return bare
        case .required:
            guard let next = rest.popFirst() else {
                throw RktError(.invalidArgument, "flag needs an argument: \(token)")
            }
            return next
        }
    }

    private mutating func keep(_ value: String, of flag: FlagSpecification) throws {
        guard flag.scope == .app else {
            try Self.checkRepetition(of: flag, value, in: result.podFlags, "")
            result.podFlags.set(value, of: flag)
            return
        }
        let last = result.apps.count - 1
        try Self.checkRepetition(of: flag, value, in: result.apps[last].flags, " for the same image")
        result.apps[last].flags.set(value, of: flag)
    }

    private static func checkRepetition(
        of flag: FlagSpecification,
        _ value: String,
        in values: FlagValues,
        _ place: String
    ) throws {
        switch flag.repetition {
        case .lastWins, .collects: return
        case .once:
            guard values.string(flag.key) != nil else { return }
            throw RktError(.invalidArgument, "--\(flag.name) specified multiple times\(place)")
        case .oneOf(let names):
            guard let other = names.first(where: { values.string($0) != nil }) else { return }
            guard other != flag.name else { throw RktError(.invalidArgument, "--\(other) already used") }
            throw RktError(.invalidArgument, "flags --\(other) and --\(flag.name) are mutually exclusive")
        case .collectsKeys:
            guard let key = FlagValue.pair(value)?.key,
                values.pairs(flag.key).contains(where: { FlagValue.isSame($0.key, key) })
            else { return }
            throw RktError(
                .invalidArgument,
                "invalid argument \(FlagValue.quoted(value)) for --\(flag.name): key \(FlagValue.quoted(key)) already set"
            )
        }
    }
}
