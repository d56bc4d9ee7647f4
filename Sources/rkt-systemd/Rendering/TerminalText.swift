internal import Glibc
internal import Manifests

/// Text from images, logs and other machines, made harmless for a terminal: what it contains cannot move the cursor,
/// hide or forge lines, or make the terminal answer.
enum TerminalText {
    /// Which controls stay as they are.
    struct Kept: OptionSet, Sendable {
        let rawValue: Int
        /// Horizontal tabs.
        static let tab = Self(rawValue: 1)
        /// Line feeds.
        static let newline = Self(rawValue: 2)
    }

    /// The text with everything that is not printable written out: bytes as `\x1b`, characters as `\u{202e}`. A
    /// carriage return at the end of a line is dropped: a tty puts one there.
    ///
    /// - Parameters:
    ///   - bytes: The text, hopefully UTF-8.
    ///   - kept: The controls to keep.
    /// - Returns: Printable text.
    static func sanitized(_ bytes: some Collection<UInt8>, keeping kept: Kept = [.tab]) -> String {
        if bytes.allSatisfy({ 0x20...0x7e ~= $0 }) { return String(decoding: bytes, as: UTF8.self) }
        var result = ""
        result.reserveCapacity(bytes.count)
        var decoder = UTF8Reader(Array(bytes))
        while let (scalar, raw) = decoder.next() {
            guard let scalar else {
                for byte in raw { result += escape(byte) }
                continue
            }
            switch scalar {
            case "\t" where kept.contains(.tab), "\n" where kept.contains(.newline):
                result.unicodeScalars.append(scalar)
            case "\r" where decoder.isAtEndOfLine:
                continue
            default:
                if isPrintable(scalar) {
                    result.unicodeScalars.append(scalar)
                } else {
                    result += escape(scalar)
                }
            }
        }
        return result
    }

    /// The text with everything that is not printable written out.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - kept: The controls to keep.
    /// - Returns: Printable text.
    static func sanitized(_ text: String, keeping kept: Kept = [.tab]) -> String {
        sanitized(text.utf8, keeping: kept)
    }

    /// The bytes to write for untrusted text: made harmless for a terminal, and otherwise exactly as they came.
    ///
    /// - Parameters:
    ///   - bytes: The text.
    ///   - isTerminal: Whether a terminal gets it.
    ///   - kept: The controls to keep for a terminal.
    /// - Returns: The bytes.
    static func output(_ bytes: some Collection<UInt8>, isTerminal: Bool, keeping kept: Kept = [.tab]) -> [UInt8] {
        isTerminal ? Array(sanitized(bytes, keeping: kept).utf8) : Array(bytes)
    }

    /// The text to write to a descriptor: lines made harmless for a terminal, and otherwise exactly as it is.
    ///
    /// - Parameters:
    ///   - text: The text, with its line feeds and tabs.
    ///   - descriptor: Where it goes; standard output if not said.
    /// - Returns: The text to write.
    static func forOutput(_ text: String, descriptor: CInt = 1) -> String {
        isTerminal(descriptor) ? sanitized(text, keeping: [.tab, .newline]) : text
    }

    /// Whether a descriptor is a terminal.
    ///
    /// - Parameter descriptor: The descriptor.
    /// - Returns: False also when it is closed.
    static func isTerminal(_ descriptor: CInt) -> Bool {
        isatty(descriptor) == 1
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        scalar.isASCII ? escape(UInt8(scalar.value)) : "\\u{\(String(scalar.value, radix: 16))}"
    }

    private static func escape(_ byte: UInt8) -> String {
        "\\x\([byte].hex)"
    }

    /// Whether a terminal shows the character and does nothing else with it.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: false
        // Of the invisible ones only the joiners that scripts and emoji need; directions could reorder a line.
        case .format: scalar == "\u{200c}" || scalar == "\u{200d}"
        default: true
        }
    }
}

/// Reads UTF-8 character by character, keeping the bytes of what is none.
private struct UTF8Reader {
    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Whether a line feed or nothing follows.
    var isAtEndOfLine: Bool {
        position == bytes.count || bytes[position] == UInt8(ascii: "\n")
    }

    /// The next character; without one, the bytes that are not UTF-8.
    mutating func next() -> (Unicode.Scalar?, ArraySlice<UInt8>)? {
        guard position < bytes.count else { return nil }
        var decoder = UTF8.ForwardParser()
        var rest = bytes[position...].makeIterator()
        switch decoder.parseScalar(from: &rest) {
        case .valid(let encoded):
            let length = encoded.count
            defer { position += length }
            return (UTF8.decode(encoded), bytes[position..<position + length])
        case .error(let length):
            defer { position += length }
            return (nil, bytes[position..<position + length])
        case .emptyInput:
            return nil
        }
    }
}
