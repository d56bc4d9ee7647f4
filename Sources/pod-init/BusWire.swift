/// D-Bus marshalling, little endian.
struct BusWriter {
    private(set) var bytes: [UInt8] = []

    mutating func align(_ size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    mutating func raw(_ more: [UInt8]) {
        bytes += more
    }

    mutating func number(_ value: UInt32) {
        align(4)
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// A string or an object path.
    mutating func string(_ text: Text) {
        number(UInt32(text.count))
        text.withCString { for index in 0..<text.count { bytes.append(UInt8(bitPattern: $0[index])) } }
        bytes.append(0)
    }

    mutating func array(_ content: [UInt8]) {
        number(UInt32(content.count))
        bytes += content
    }

    /// A header field: its code, and a variant that holds a string or an object path.
    mutating func field(_ code: UInt8, _ type: UInt8, _ text: Text) {
        align(8)
        bytes += [code, 1, type, 0]
        string(text)
    }

    /// The header field with the body's signature.
    mutating func signature(_ text: StaticString) {
        align(8)
        bytes += [8, 1, 103, 0, UInt8(text.utf8CodeUnitCount)]
        text.withUTF8Buffer { bytes += $0 }
        bytes.append(0)
    }
}

/// Reads what D-Bus has marshalled; nil for what is not there.
struct BusReader {
    private let bytes: [UInt8]
    private var offset: Int

    init(_ bytes: [UInt8], at offset: Int = 0) {
        self.bytes = bytes
        self.offset = offset
    }

    var isAtEnd: Bool { offset >= bytes.count }

    mutating func align(_ size: Int) {
        while offset % size != 0 { offset += 1 }
    }

    mutating func byte() -> UInt8? {
        guard offset < bytes.count else { return nil }
        defer { offset += 1 }
        return bytes[offset]
    }

    mutating func number() -> UInt32? {
        align(4)
        guard offset + 4 <= bytes.count else { return nil }
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << (8 * UInt32(index)) }
        offset += 4
        return value
    }

    mutating func longNumber() -> UInt64? {
        align(8)
        guard let low = number(), let high = number() else { return nil }
        return UInt64(low) | UInt64(high) << 32
    }

    /// A string or an object path.
    mutating func string() -> ArraySlice<UInt8>? {
        guard let length = number() else { return nil }
        return characters(Int(length))
    }

    /// A signature.
    mutating func signature() -> ArraySlice<UInt8>? {
        guard let length = byte() else { return nil }
        return characters(Int(length))
    }

    /// How far it has been read.
    var position: Int { offset }

    /// Where an array ends that begins here.
    ///
    /// - Parameter alignment: That of its items, at the first of which this is then.
    /// - Returns: The position behind it; nil when it is not there.
    mutating func arrayEnd(of alignment: Int) -> Int? {
        guard let length = number() else { return nil }
        align(alignment)
        guard length <= 1 << 26, offset + Int(length) <= bytes.count else { return nil }
        return offset + Int(length)
    }

    /// Passes over a variant; whether it could.
    mutating func skipVariant() -> Bool { skipVariant(depth: 0) }

    private mutating func skipVariant(depth: Int) -> Bool {
        guard var type = signature() else { return false }
        return skip(&type, depth: depth + 1)
    }

    /// Passes over a value.
    ///
    /// - Parameters:
    ///   - type: Its type, and what comes behind it, which is left.
    ///   - depth: How many values this one is in.
    /// - Returns: Whether it could.
    private mutating func skip(_ type: inout ArraySlice<UInt8>, depth: Int) -> Bool {
        guard depth < 32, let code = type.popFirst() else { return false }
        switch code {
        case 121: return byte() != nil  // y
        case 98, 104, 105, 117: return number() != nil  // b, h, i, u
        case 100, 116, 120: return longNumber() != nil  // d, t, x
        case 103: return signature() != nil  // g
        case 111, 115: return string() != nil  // o, s
        case 110, 113:  // n, q
            align(2)
            offset += 2
            return offset <= bytes.count
        case 118: return skipVariant(depth: depth)  // v
        case 40, 123:  // a struct, an entry of a dictionary
            align(8)
            while let next = type.first, next != 41, next != 125 {
                guard skip(&type, depth: depth + 1) else { return false }
            }
            return type.popFirst() != nil
        case 97:  // a
            guard let end = arrayEnd(of: Self.alignment(type.first)) else { return false }
            offset = end
            return Self.skipType(&type)
        default: return false
        }
    }

    private static func alignment(_ code: UInt8?) -> Int {
        switch code {
        case 40, 100, 116, 120, 123: 8
        case 110, 113: 2
        case 103, 118, 121: 1
        default: 4
        }
    }

    /// Passes over a type.
    private static func skipType(_ type: inout ArraySlice<UInt8>) -> Bool {
        var open = 0
        while let code = type.popFirst() {
            if code == 40 || code == 123 { open += 1 }
            if code == 41 || code == 125 { open -= 1 }
            if open == 0, code != 97 { return true }
        }
        return false
    }

    /// So many characters and the NUL behind them.
    private mutating func characters(_ length: Int) -> ArraySlice<UInt8>? {
        guard length < 1 << 20, offset + length < bytes.count else { return nil }
        defer { offset += length + 1 }
        return bytes[offset..<(offset + length)]
    }
}

/// Whether some bytes are those of a literal.
func equal(_ bytes: ArraySlice<UInt8>, _ literal: StaticString) -> Bool {
    literal.withUTF8Buffer { buffer in
        guard buffer.count == bytes.count else { return false }
        for (index, byte) in bytes.enumerated() where buffer[index] != byte { return false }
        return true
    }
}

extension Text {
    /// Bytes that hold no NUL.
    init(_ bytes: ArraySlice<UInt8>) {
        self.init("")
        for byte in bytes { append(byte: byte) }
    }
}
