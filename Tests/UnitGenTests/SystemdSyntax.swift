/// What systemd makes of the values of assignments, after systemd.syntax(7) and systemd.unit(5): the inverse of what
/// is tested. Written for these tests alone, so that an error in the one is not an error in the other.
enum SystemdSyntax {
    struct Failure: Error {}

    /// The words of a value: quotes and escapes are taken off, then specifiers expanded.
    static func words(_ value: String) throws -> [[UInt8]] {
        try split(value).map(expandingSpecifiers)
    }

    /// The program and arguments of an `ExecStart=` with just these prefixes, `:` (which turns off `$`) among them.
    static func command(_ value: String, prefixes: String = ":") throws -> [[UInt8]] {
        guard value.prefix(while: { $0 != "\"" }) == prefixes, prefixes.contains(":") else { throw Failure() }
        let words = try words(String(value.dropFirst(prefixes.count)))
        // A program is an absolute path without these, whatever the quoting.
        guard let program = words.first, program.first == UInt8(ascii: "/"), program.last != UInt8(ascii: "/"),
            !program.contains(where: { $0 < 32 || $0 == 127 || "\"'\\".utf8.contains($0) })
        else { throw Failure() }
        return words
    }

    private static func split(_ value: String) throws -> [[UInt8]] {
        var words: [[UInt8]] = []
        var word: [UInt8]?
        var quote: Character?
        var rest = Substring(value).unicodeScalars[...]
        while let scalar = rest.popFirst() {
            switch scalar {
            case "\"" where quote == nil, "'" where quote == nil:
                quote = Character(scalar)
                word = word ?? []
            case _ where quote == Character(scalar): quote = nil
            case " " where quote == nil, "\t" where quote == nil:
                if let complete = word { words.append(complete) }
                word = nil
            case "\\": word = try (word ?? []) + unescape(&rest)
            default: word = (word ?? []) + Array(String(scalar).utf8)
            }
        }
        guard quote == nil else { throw Failure() }
        return words + (word.map { [$0] } ?? [])
    }

    private static func unescape(_ rest: inout Substring.UnicodeScalarView) throws -> [UInt8] {
        let simple: [Unicode.Scalar: UInt8] = [
            "a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92, "\"": 34, "'": 39, "s": 32,
        ]
        guard let scalar = rest.popFirst() else { throw Failure() }
        if let byte = simple[scalar] { return [byte] }
        guard scalar == "x", rest.count >= 2, let byte = UInt8(String(rest.prefix(2)), radix: 16), byte != 0 else {
            throw Failure()
        }
        rest.removeFirst(2)
        return [byte]
    }

    private static func expandingSpecifiers(_ word: [UInt8]) throws -> [UInt8] {
        var result: [UInt8] = []
        var rest = word[...]
        while let byte = rest.popFirst() {
            // Any specifier but %% would put in something else than was meant.
            if byte == UInt8(ascii: "%"), rest.popFirst() != UInt8(ascii: "%") { throw Failure() }
            result.append(byte)
        }
        return result
    }

    /// A value without words and quotes, as `Description=`.
    static func plain(_ value: String) throws -> String {
        String(decoding: try expandingSpecifiers(Array(value.utf8)), as: UTF8.self)
    }
}
