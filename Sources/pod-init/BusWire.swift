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
