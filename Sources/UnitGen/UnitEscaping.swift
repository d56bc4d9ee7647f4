internal import Diagnostics
internal import Manifests

/// Writing text into unit files so that systemd reads just that text: one function per place.
public enum UnitEscaping {
    /// One argument of an `ExecStart=` whose program has the prefix `:` (no `$` is expanded then).
    ///
    /// - Parameters:
    ///   - bytes: The argument, which need not be UTF-8.
    ///   - field: What the argument is, for errors.
    /// - Returns: The argument in quotes.
    /// - Throws: ``RktError`` with `invalidArgument` for a NUL, which no argument can have.
    public static func execArgument(_ bytes: [UInt8], field: String = "an argument") throws -> String {
        "\"\(try quoted(bytes, field: field))\""
    }

    /// A command line for `ExecStart=` and its kind, in which nothing is expanded.
    ///
    /// - Parameters:
    ///   - program: The program, an absolute path.
    ///   - arguments: Its arguments.
    /// - Returns: The value of the assignment.
    /// - Throws: ``RktError`` with `invalidArgument` for what systemd would refuse.
    public static func execLine(_ program: String, _ arguments: [String]) throws -> String {
        // systemd takes no quotes, backslashes and control characters in a program's path, however they are written.
        let isSafe = program.utf8.allSatisfy { $0 >= 32 && $0 != 127 && !"\"'\\".utf8.contains($0) }
        let slash = UInt8(ascii: "/")
        guard program.utf8.first == slash, program.utf8.last != slash, isSafe, program.utf8.count < 4096 else {
            throw RktError(
                .invalidArgument,
                "\(program.debugDescription) cannot be the program of a unit: give the absolute path of a file, without "
                    + "quotes, backslashes and control characters"
            )
        }
        let words = [program] + arguments
        return try ":" + words.map { try execArgument(Array($0.utf8)) }.joined(separator: " ")
    }

    /// A field for `LogExtraFields=`.
    ///
    /// - Parameters:
    ///   - name: The journal field.
    ///   - value: The value, which need not be UTF-8.
    /// - Returns: The field in quotes.
    /// - Throws: ``RktError`` with `invalidArgument`, naming the field, for a name that is none in a journal, and for a
    ///   NUL in the value.
    public static func logField(_ name: String, _ value: [UInt8]) throws -> String {
        let bytes = Array(name.utf8)
        let isName = bytes.allSatisfy {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || $0 == UInt8(ascii: "_")
        }
        guard let first = bytes.first, isName, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(first),
            bytes.count <= 64
        else { throw RktError(.invalidArgument, "\(name.debugDescription) is no name for a field of a journal") }
        return "\"\(name)=\(try quoted(value, field: "journal field \(name)"))\""
    }

    /// Text for people, as in `Description=`: what cannot stand there becomes a replacement character, as a pod must
    /// not fail for the look of a line.
    ///
    /// - Parameter text: The text.
    /// - Returns: The value of the assignment.
    public static func display(_ text: String) -> String {
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            scalars.append(UnitText.isControl(scalar) || !UnitText.isReadable(scalar) ? "\u{FFFD}" : scalar)
        }
        while scalars.first == " " { scalars.removeFirst() }
        while let last = scalars.last, last == " " { scalars.removeLast() }
        return doubledSpecifiers(String(scalars))
    }

    private static func doubledSpecifiers(_ text: String) -> String {
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            result.append(scalar)
            if scalar == "%" { result.append(scalar) }
        }
        return String(result)
    }

    /// The inside of a double-quoted word whose specifiers are expanded.
    private static func quoted(_ bytes: [UInt8], field: String) throws -> String {
        guard !bytes.contains(0) else { throw RktError(.invalidArgument, "\(field) has a NUL byte in it") }
        // Text stays readable; what systemd would not take as text is written out byte by byte.
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return bytes.map { $0 < 128 ? quoted(Unicode.Scalar($0)) : "\\x\([$0].hex)" }.joined()
        }
        return text.unicodeScalars.map(quoted).joined()
    }

    private static func quoted(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\\": "\\\\"
        case "\"": "\\\""
        case "%": "%%"
        case _ where UnitText.isControl(scalar) || !UnitText.isReadable(scalar):
            String(scalar).utf8.map { "\\x\([$0].hex)" }.joined()
        default: String(scalar)
        }
    }
}
