internal import Diagnostics
internal import FoundationEssentials

/// Reading JSON that others wrote: what two readers could understand differently is refused.
///
/// An object that names a member twice, bytes after the value, text that is not UTF-8, and nesting deeper than 64 are
/// errors, all found before anything is decoded.
public enum StrictJSON {
    /// The most bytes of one manifest, index or configuration.
    public static let sizeLimit = 4 << 20
    /// The deepest nesting.
    public static let depthLimit = 64

    /// Decodes a value.
    ///
    /// - Parameters:
    ///   - type: The type of the value.
    ///   - bytes: The JSON text.
    ///   - name: What the text is, for errors.
    /// - Returns: The value.
    /// - Throws: ``RktError`` with `limitExceeded` for more than ``sizeLimit`` bytes, `invalidData` for all else.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8], name: String) throws -> Value {
        try check(bytes, name: name)
        do {
            return try JSONDecoder().decode(type, from: Data(bytes))
        } catch let error as DecodingError {
            throw RktError(.invalidData, "\(name) is not valid: \(error.summary)")
        }
    }

    /// Checks a text without decoding it.
    ///
    /// - Parameters:
    ///   - bytes: The JSON text.
    ///   - name: What the text is, for errors.
    /// - Throws: ``RktError`` as ``decode(_:from:name:)``.
    public static func check(_ bytes: [UInt8], name: String) throws {
        guard bytes.count <= sizeLimit else {
            throw RktError(.limitExceeded, "\(name) is larger than \(sizeLimit) bytes")
        }
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw RktError(.invalidData, "\(name) is not UTF-8 text")
        }
        do throws(JSONFlaw) {
            var scanner = JSONScanner(bytes: bytes)
            try scanner.scan()
        } catch {
            throw RktError(.invalidData, "\(name) is not valid JSON: \(error.what) at byte \(error.offset)")
        }
    }
}

struct JSONFlaw: Error {
    let what: String
    let offset: Int
}

/// Walks over a JSON text without building anything but the names of the objects it is inside of.
struct JSONScanner {
    private let bytes: [UInt8]
    private var offset = 0
    /// One element per open container: the names seen in an object, nil for an array.
    private var open: [Set<[UInt8]>?] = []

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func scan() throws(JSONFlaw) {
        repeat {
            try value()
            // A value is complete: close what ends here, or go on to the next member.
            while !open.isEmpty {
                skipSpace()
                let isObject = open[open.count - 1] != nil
                let byte = next()
                if byte == UInt8(ascii: ",") {
                    if isObject { try name() }
                    break
                }
                guard byte == UInt8(ascii: isObject ? "}" : "]") else { throw flaw("expected ',' or an end") }
                open.removeLast()
            }
        } while !open.isEmpty
        skipSpace()
        if offset < bytes.count { throw flaw("there is more after the value") }
    }

    /// Scans a scalar or an empty container, or opens containers up to the first scalar inside.
    private mutating func value() throws(JSONFlaw) {
        while true {
            skipSpace()
            switch peek() {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                let isObject = next() == UInt8(ascii: "{")
                skipSpace()
                if peek() == UInt8(ascii: isObject ? "}" : "]") {
                    offset += 1
                    return
                }
                guard open.count < StrictJSON.depthLimit else { throw flaw("it is nested too deeply") }
                open.append(isObject ? [] : nil)
                if isObject { try name() }
            case UInt8(ascii: "\""):
                _ = try string()
                return
            case UInt8(ascii: "t"): return try word("true")
            case UInt8(ascii: "f"): return try word("false")
            case UInt8(ascii: "n"): return try word("null")
            default: return try number()
            }
        }
    }

    private mutating func name() throws(JSONFlaw) {
        skipSpace()
        let start = offset
        let name = try string()
        if open[open.count - 1]?.insert(name).inserted != true {
            offset = start
            throw flaw(
                "the member \(String(decoding: name.prefix(100), as: UTF8.self).debugDescription) is there twice"
            )
        }
        skipSpace()
        guard next() == UInt8(ascii: ":") else { throw flaw("expected ':'") }
    }

    private mutating func string() throws(JSONFlaw) -> [UInt8] {
        guard next() == UInt8(ascii: "\"") else { throw flaw("expected a string") }
        var text: [UInt8] = []
        while let byte = next() {
            switch byte {
            case UInt8(ascii: "\""): return text
            case 0..<32: throw flaw("a control character in a string")
            case UInt8(ascii: "\\"): text += try escape()
            default: text.append(byte)
            }
        }
        throw flaw("a string does not end")
    }

    private mutating func escape() throws(JSONFlaw) -> [UInt8] {
        switch next() {
        case UInt8(ascii: "\""): return [UInt8(ascii: "\"")]
        case UInt8(ascii: "\\"): return [UInt8(ascii: "\\")]
        case UInt8(ascii: "/"): return [UInt8(ascii: "/")]
        case UInt8(ascii: "b"): return [8]
        case UInt8(ascii: "f"): return [12]
        case UInt8(ascii: "n"): return [10]
        case UInt8(ascii: "r"): return [13]
        case UInt8(ascii: "t"): return [9]
        case UInt8(ascii: "u"): break
        default: throw flaw("an unknown escape in a string")
        }
        let unit = try hex()
        var units = [unit]
        if UTF16.isLeadSurrogate(unit) {
            guard next() == UInt8(ascii: "\\"), next() == UInt8(ascii: "u") else { throw flaw("half a surrogate pair") }
            units.append(try hex())
        }
        guard let text = String(validating: units, as: UTF16.self) else { throw flaw("half a surrogate pair") }
        return [UInt8](text.utf8)
    }

    private mutating func hex() throws(JSONFlaw) -> UInt16 {
        var value: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = next(), let digit = Character(UnicodeScalar(byte)).hexDigitValue, byte < 128 else {
                throw flaw("\\u needs four hex digits")
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }

    private mutating func number() throws(JSONFlaw) {
        if peek() == UInt8(ascii: "-") { offset += 1 }
        if peek() == UInt8(ascii: "0") { offset += 1 } else { try digits() }
        if peek() == UInt8(ascii: ".") {
            offset += 1
            try digits()
        }
        if peek() == UInt8(ascii: "e") || peek() == UInt8(ascii: "E") {
            offset += 1
            if peek() == UInt8(ascii: "+") || peek() == UInt8(ascii: "-") { offset += 1 }
            try digits()
        }
    }

    private mutating func digits() throws(JSONFlaw) {
        let start = offset
        while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { offset += 1 }
        if offset == start { throw flaw("expected a value") }
    }

    private mutating func word(_ word: String) throws(JSONFlaw) {
        for byte in word.utf8 where next() != byte { throw flaw("expected \(word)") }
    }

    private mutating func skipSpace() {
        while let byte = peek(), byte == 32 || byte == 10 || byte == 13 || byte == 9 { offset += 1 }
    }

    private func peek() -> UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func next() -> UInt8? {
        guard offset < bytes.count else { return nil }
        defer { offset += 1 }
        return bytes[offset]
    }

    private func flaw(_ what: String) -> JSONFlaw { JSONFlaw(what: what, offset: offset) }
}

extension DecodingError {
    /// The error on one line, with the place in the document.
    var summary: String {
        switch self {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
            "\(context.place)\(context.debugDescription)"
        case .keyNotFound(let key, let context): "\(context.place)\(key.stringValue) is missing"
        @unknown default: "\(self)"
        }
    }
}

extension DecodingError.Context {
    fileprivate var place: String {
        codingPath.isEmpty
            ? "" : codingPath.map { $0.intValue.map(String.init) ?? $0.stringValue }.joined(separator: ".") + ": "
    }
}
