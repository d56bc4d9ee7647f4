import CMusl

/// A C string under construction: Embedded Swift's String needs Unicode tables that this program has no use for.
struct Text {
    private var bytes: [CChar]

    init(_ literal: StaticString) {
        bytes = []
        self = self + literal
    }

    init(_ string: UnsafePointer<CChar>) {
        bytes = []
        self = self + string
    }

    static func + (text: Text, literal: StaticString) -> Text {
        var sum = text
        literal.withUTF8Buffer { for byte in $0 { sum.bytes.append(CChar(bitPattern: byte)) } }
        return sum
    }

    static func + (text: Text, string: UnsafePointer<CChar>) -> Text {
        var sum = text
        var next = string
        while next.pointee != 0 {
            sum.bytes.append(next.pointee)
            next += 1
        }
        return sum
    }

    static func + (text: Text, string: UnsafeMutablePointer<CChar>) -> Text { text + UnsafePointer(string) }

    static func + (text: Text, other: Text) -> Text {
        var sum = text
        sum.bytes += other.bytes
        return sum
    }

    static func + (text: Text, number: Int32) -> Text {
        (number < 0 ? text + "-" : text) + UInt(number.magnitude)
    }

    static func + (text: Text, number: UInt) -> Text {
        var digits: [CChar] = []
        var rest = number
        repeat {
            digits.append(CChar(48 + rest % 10))
            rest /= 10
        } while rest > 0
        var sum = text
        while let digit = digits.popLast() { sum.bytes.append(digit) }
        return sum
    }

    mutating func append(byte: UInt8) {
        bytes.append(CChar(bitPattern: byte))
    }

    var count: Int { bytes.count }
    /// Its bytes, without a NUL.
    var utf8: [UInt8] { bytes.map { UInt8(bitPattern: $0) } }

    /// Whether this is the text of a literal.
    func equals(_ literal: StaticString) -> Bool {
        literal.withUTF8Buffer { buffer in
            guard buffer.count == bytes.count else { return false }
            for (index, byte) in buffer.enumerated() where bytes[index] != CChar(bitPattern: byte) { return false }
            return true
        }
    }

    /// Whether both are the same.
    func equals(_ other: Text) -> Bool {
        guard count == other.count else { return false }
        for index in 0..<count where bytes[index] != other.bytes[index] { return false }
        return true
    }

    /// The text without an end that it has; nil when it has another.
    func dropping(_ end: Text) -> Text? {
        guard count >= end.count else { return nil }
        var start = self
        start.bytes.removeLast(end.count)
        return (start + end).equals(self) ? start : nil
    }

    /// The text with a terminating NUL, while `body` runs.
    func withCString<R>(_ body: (UnsafePointer<CChar>) -> R) -> R {
        var terminated = bytes
        terminated.append(0)
        return terminated.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { _exit(ExitStatus.setup) }
            return body(start)
        }
    }

    /// The text as a C string that lives as long as the program: for argument vectors.
    func leaked() -> UnsafeMutablePointer<CChar> {
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
        for (index, byte) in bytes.enumerated() { copy[index] = byte }
        copy[bytes.count] = 0
        return copy
    }
}

/// Whether a C string equals a literal.
func equal(_ string: UnsafePointer<CChar>, _ literal: StaticString) -> Bool {
    literal.withUTF8Buffer { buffer in
        for (index, byte) in buffer.enumerated() where string[index] != CChar(bitPattern: byte) { return false }
        return string[buffer.count] == 0
    }
}

/// The decimal number at the start of some bytes; nil when there is no digit.
func parseNumber(_ bytes: [UInt8]) -> Int32? {
    var value: Int32 = 0
    var digits = 0
    for byte in bytes {
        guard byte >= 48, byte <= 57, digits < 9 else { break }
        value = value * 10 + Int32(byte - 48)
        digits += 1
    }
    return digits > 0 ? value : nil
}

/// The decimal number a C string starts with.
func parseNumber(_ string: UnsafePointer<CChar>) -> Int32? {
    var bytes: [UInt8] = []
    var next = string
    while next.pointee != 0, bytes.count < 12 {
        bytes.append(UInt8(bitPattern: next.pointee))
        next += 1
    }
    return parseNumber(bytes)
}
