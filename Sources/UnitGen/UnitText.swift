/// What systemd takes as text.
enum UnitText {
    /// Whether systemd reads a line with this text: it passes over lines with what Unicode calls noncharacters, as it
    /// does over those that are not UTF-8.
    static func isReadable(_ text: String) -> Bool { text.unicodeScalars.allSatisfy(isReadable) }

    /// Whether systemd takes a character as one.
    static func isReadable(_ scalar: Unicode.Scalar) -> Bool {
        !(0xFDD0...0xFDEF).contains(scalar.value) && scalar.value & 0xFFFE != 0xFFFE
    }

    /// Whether a terminal would show something for it and do nothing else.
    static func isControl(_ scalar: Unicode.Scalar) -> Bool {
        scalar.value < 32 || (0x7F...0x9F).contains(scalar.value)
    }

    static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }
}

extension String {
    /// Whether it is an absolute path: by its bytes, as a character could be a slash with an accent.
    var isAbsolutePath: Bool { utf8.first == UInt8(ascii: "/") && !utf8.contains(0) }
}
