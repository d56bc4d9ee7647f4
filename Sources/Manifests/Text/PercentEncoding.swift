/// Bytes in URLs (RFC 3986, 2).
package enum PercentEncoding {
    /// Bytes as a part of a URL.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - others: What may stay as it is besides letters, digits and `-._~`.
    /// - Returns: The part.
    package static func encode(_ bytes: some Sequence<UInt8>, keeping others: String = "") -> String {
        var result = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.unicodeScalars.append(Unicode.Scalar(byte))
            case _ where others.utf8.contains(byte): result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "%\([byte].hex.uppercased())"
            }
        }
        return result
    }

    /// The bytes that a part of a URL stands for.
    ///
    /// - Parameter text: The part.
    /// - Returns: The bytes; nil when a `%` is not followed by two hexadecimal digits.
    package static func decode(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            let digits = rest.prefix(2).compactMap { Character(UnicodeScalar($0)).hexDigitValue }
            guard digits.count == 2 else { return nil }
            rest = rest.dropFirst(2)
            bytes.append(UInt8(digits[0] * 16 + digits[1]))
        }
        return bytes
    }
}
