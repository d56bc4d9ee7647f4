internal import Diagnostics

/// The forms of values. The errors give the reason alone; who calls says which flag it is.
enum FlagValue {
    /// A text in quotes, for messages: what is not printable is written out.
    ///
    /// - Parameter text: The text.
    /// - Returns: It in double quotes.
    static func quoted(_ text: String) -> String {
        let escaped = text.flatMap { character -> String in
            character == "\"" || character == "\\" ? "\\\(character)" : String(character)
        }
        return "\"\(TerminalText.sanitized(String(escaped), keeping: []))\""
    }

    /// A truth value in any of Go's spellings.
    ///
    /// - Parameter text: `true`, `false`, `1`, `0`, `t`, `f`, also capitalised.
    /// - Returns: The truth.
    /// - Throws: ``RktError`` with `invalidArgument` for anything else.
    static func bool(_ text: String) throws -> Bool {
        switch text {
        case "1", "t", "T", "TRUE", "true", "True": return true
        case "0", "f", "F", "FALSE", "false", "False": return false
        default: throw RktError(.invalidArgument, "\(quoted(text)) is neither true nor false")
        }
    }

    /// Whether two names are the same byte for byte: Swift takes texts for equal that only read the same.
    ///
    /// - Parameters:
    ///   - name: A name.
    ///   - other: Another.
    /// - Returns: Whether they are the same.
    static func isSame(_ name: String, _ other: String) -> Bool { name.utf8.elementsEqual(other.utf8) }

    /// The two sides of `KEY=VALUE`.
    ///
    /// - Parameter text: The text; the value may contain more `=`.
    /// - Returns: Nil without a `=`, or without a key.
    static func pair(_ text: String) -> (key: String, value: String)? {
        guard let equals = text.utf8.firstIndex(of: UInt8(ascii: "=")), equals > text.startIndex else { return nil }
        return (String(text[..<equals]), String(text[text.utf8.index(after: equals)...]))
    }

    /// The items of a comma-separated list.
    ///
    /// - Parameter text: The list.
    /// - Returns: The items, empty ones too.
    static func list(_ text: String) -> [String] {
        text.split(separator: ",", omittingEmptySubsequences: false).map { String($0) }
    }

    /// A whole number in limits.
    ///
    /// - Parameters:
    ///   - text: Decimal digits, perhaps with a sign.
    ///   - range: The limits.
    /// - Returns: The number.
    /// - Throws: ``RktError`` with `invalidArgument`.
    static func integer(_ text: String, in range: ClosedRange<Int>) throws -> Int {
        guard let number = Int(text) else { throw RktError(.invalidArgument, "\(quoted(text)) is not a whole number") }
        guard range.contains(number) else {
            throw RktError(
                .invalidArgument,
                "it must be between \(range.lowerBound) and \(range.upperBound), got \(number)"
            )
        }
        return number
    }

    /// Checks that a text is one of a few.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - choices: What it may be.
    /// - Throws: ``RktError`` with `invalidArgument` naming the choices.
    static func check(_ text: String, isOneOf choices: [String]) throws {
        guard !choices.contains(text) else { return }
        let all = choices.dropLast().joined(separator: ", ") + " or " + (choices.last ?? "")
        throw RktError(.invalidArgument, "it must be \(all)")
    }

    /// Checks a list of options: each one known, none twice, in any case.
    ///
    /// - Parameters:
    ///   - text: The options, comma-separated; an empty text is no option.
    ///   - names: The options there are.
    /// - Throws: ``RktError`` with `invalidArgument`.
    static func check(_ text: String, listsOnly names: [String]) throws {
        var seen: Set<String> = []
        for name in text.isEmpty ? [] : list(text.lowercased()) {
            guard names.contains(name) else {
                throw RktError(
                    .invalidArgument,
                    "unknown option \(quoted(name)): there are \(names.joined(separator: ", "))"
                )
            }
            guard seen.insert(name).inserted else {
                throw RktError(.invalidArgument, "duplicated option \(quoted(name))")
            }
        }
    }

    /// Checks that there is something, and nothing that would break lines in files and messages.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``RktError`` with `invalidArgument`.
    static func checkLine(_ text: String) throws {
        guard !text.isEmpty else { throw RktError(.invalidArgument, "it must not be empty") }
        guard text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw RktError(.invalidArgument, "it must not contain control characters")
        }
    }

    /// Checks an appc name: groups of lower-case letters and digits, with one separator between them.
    ///
    /// - Parameters:
    ///   - text: The name.
    ///   - separators: `-` for an app's name; more for an annotation's.
    /// - Throws: ``RktError`` with `invalidArgument`.
    static func checkName(_ text: String, separators: String = "-") throws {
        let groups = text.split(omittingEmptySubsequences: false) { separators.contains($0) }
        let isName = groups.allSatisfy { group in
            !group.isEmpty && group.utf8.allSatisfy { 0x61...0x7a ~= $0 || 0x30...0x39 ~= $0 }
        }
        guard isName else {
            throw RktError(
                .invalidArgument,
                "\(quoted(text)) is not a name: it must be lower-case letters and digits, with single "
                    + "\(separators.map { "\"\($0)\"" }.joined(separator: ", ")) only between them"
            )
        }
    }
}
