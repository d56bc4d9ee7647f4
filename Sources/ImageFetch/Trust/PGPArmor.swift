internal import Diagnostics
internal import FoundationEssentials

/// OpenPGP's text form (RFC 9580, 6) and PEM's: base64 between two lines.
enum PGPArmor {
    /// The bytes of OpenPGP data, which may be in binary or in text form.
    ///
    /// - Parameters:
    ///   - bytes: The data.
    ///   - label: What the lines around it say, such as `PGP SIGNATURE`.
    ///   - name: What it is, for errors.
    /// - Returns: The binary form.
    /// - Throws: `RktError` with `invalidData` when it is neither, or is several.
    static func binary(_ bytes: [UInt8], label: String, name: String) throws -> [UInt8] {
        // Each packet begins with a set bit, which no text does.
        if let first = bytes.first, first & 0x80 != 0 { return bytes }
        return try block(bytes, label: label, name: name)
    }

    /// Puts bytes into text form.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - label: What the lines around them say.
    /// - Returns: The text.
    static func text(_ bytes: [UInt8], label: String) -> [UInt8] {
        Array("-----BEGIN \(label)-----\n\n\(lines(bytes))\n\(checksum(bytes))\n-----END \(label)-----\n".utf8)
    }

    /// Bytes as lines of base64.
    static func lines(_ bytes: [UInt8]) -> String {
        Data(bytes).base64EncodedString(options: [.lineLength64Characters, .endLineWithLineFeed])
    }

    /// The one block of base64 in a text.
    ///
    /// - Parameters:
    ///   - bytes: The text.
    ///   - label: What the lines around the block say.
    ///   - name: What it is, for errors.
    /// - Returns: What the block stands for; text around it is nothing.
    /// - Throws: `RktError` with `invalidData` when there is no such block, or another one too, or it is damaged.
    static func block(_ bytes: [UInt8], label: String, name: String) throws -> [UInt8] {
        guard let text = String(validating: bytes, as: UTF8.self), !text.utf8.contains(0) else {
            throw RktError(.invalidData, "\(name) is none: it is not text, nor what begins as binary OpenPGP data does")
        }
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map { line in
            String(line.trimming { $0 == " " || $0 == "\t" })
        }
        let borders = lines.indices.filter { lines[$0].hasPrefix("-----BEGIN ") || lines[$0].hasPrefix("-----END ") }
        guard borders.count == 2, lines[borders[0]] == "-----BEGIN \(label)-----",
            lines[borders[1]] == "-----END \(label)-----"
        else {
            let found = borders.first.map { ", it has \(String(lines[$0].prefix(60)).debugDescription)" } ?? ""
            throw RktError(.invalidData, "\(name) must have one block -----BEGIN \(label)-----, and no other\(found)")
        }
        var body = lines[(borders[0] + 1)..<borders[1]]
        // Headers, if there are any, end with an empty line.
        if let empty = body.firstIndex(of: ""), body[..<empty].allSatisfy({ $0.contains(": ") }) {
            body = body[(empty + 1)...]
        }
        body = body.filter { !$0.isEmpty }[...]
        let sum = body.last.flatMap { $0.hasPrefix("=") && $0.utf8.count == 5 ? $0 : nil }
        if sum != nil { body.removeLast() }
        guard let decoded = decode(body.joined()), !decoded.isEmpty else {
            throw RktError(.invalidData, "\(name) is damaged: what is between its first and last line is not base64")
        }
        if let sum, sum != checksum(decoded) {
            throw RktError(.invalidData, "\(name) is damaged: its checksum is another one")
        }
        return decoded
    }

    /// The bytes of base64 with padding (RFC 4648, 4); nil for what is not just what stands for them.
    private static func decode(_ text: String) -> [UInt8]? {
        guard let data = Data(base64Encoded: text), data.base64EncodedString() == text else { return nil }
        return [UInt8](data)
    }

    /// The line of CRC-24, as OpenPGP has it.
    private static func checksum(_ bytes: [UInt8]) -> String {
        var sum: UInt32 = 0xB7_04CE
        for byte in bytes {
            sum ^= UInt32(byte) << 16
            for _ in 0..<8 {
                sum <<= 1
                if sum & 0x100_0000 != 0 { sum ^= 0x186_4CFB }
            }
        }
        let value = [sum >> 16, sum >> 8, sum].map { UInt8(truncatingIfNeeded: $0) }
        return "=\(Data(value).base64EncodedString())"
    }
}
