internal import Diagnostics

extension UnitEscaping {
    /// Text as a part of a unit's name, as `systemd-escape` writes it.
    ///
    /// - Parameters:
    ///   - bytes: The text, which need not be UTF-8.
    ///   - field: What the text is, for errors.
    /// - Returns: The escaped text.
    /// - Throws: ``RktError`` with `invalidArgument`, naming the field, for a NUL.
    public static func nameComponent(_ bytes: [UInt8], field: String = "a unit's name") throws -> String {
        guard !bytes.contains(0) else { throw RktError(.invalidArgument, "\(field) has a NUL byte in it") }
        return escapedName(bytes[...])
    }

    /// An absolute path as a part of a unit's name, as `systemd-escape --path` writes it.
    ///
    /// - Parameters:
    ///   - bytes: The path.
    ///   - field: What the path is, for errors.
    /// - Returns: The escaped path; `-` for the root.
    /// - Throws: ``RktError`` with `invalidArgument`, naming the field, for a path that is not absolute, goes up with
    ///   `..`, or has a NUL.
    public static func pathComponent(_ bytes: [UInt8], field: String = "a path in a unit's name") throws -> String {
        let slash = UInt8(ascii: "/")
        // Several slashes are one, and `.` is where it is: systemd's own simplification.
        let parts = bytes.split(separator: slash).filter { $0 != [UInt8(ascii: ".")] }
        guard bytes.first == slash, !bytes.contains(0), !parts.contains(Array("..".utf8)[...]) else {
            let shown = String(decoding: bytes.prefix(80), as: UTF8.self).debugDescription
            throw RktError(.invalidArgument, "\(field), \(shown), is not an absolute path without \"..\"")
        }
        return parts.isEmpty ? "-" : escapedName(Array(parts.joined(separator: [slash]))[...])
    }

    /// The text behind a part of a unit's name, as `systemd-escape --unescape` finds it.
    ///
    /// - Parameter text: The part of the name.
    /// - Returns: The text's bytes.
    /// - Throws: ``RktError`` with `invalidArgument` for a backslash that does not begin `\xHH`, and for `\x00`.
    public static func unescapedName(_ text: String) throws -> [UInt8] {
        func refuse() -> RktError {
            RktError(.invalidArgument, "\(text.debugDescription) is not escaped as a part of a unit's name is")
        }
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "-"): bytes.append(UInt8(ascii: "/"))
            case UInt8(ascii: "\\"):
                let digits = rest.dropFirst().prefix(2)
                guard rest.first == UInt8(ascii: "x"), digits.count == 2,
                    digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
                    let value = UInt8(String(decoding: digits, as: UTF8.self), radix: 16), value != 0
                else { throw refuse() }
                bytes.append(value)
                rest = rest.dropFirst(3)
            default: bytes.append(byte)
            }
        }
        return bytes
    }

    private static func escapedName(_ bytes: ArraySlice<UInt8>) -> String {
        var result = ""
        for (index, byte) in bytes.enumerated() {
            let isPlain =
                UnitText.isLetterOrDigit(byte) || ":_".utf8.contains(byte)
                || (byte == UInt8(ascii: ".") && index > 0)
            if byte == UInt8(ascii: "/") {
                result += "-"
            } else if isPlain {
                result.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                result += "\\x\(UnitText.hex(byte))"
            }
        }
        return result
    }
}
