internal import Diagnostics

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
        let digits = Base64.encode(bytes)
        var lines = ["-----BEGIN \(label)-----", ""]
        for start in stride(from: 0, to: digits.count, by: 64) {
            lines.append(String(decoding: digits[start..<min(start + 64, digits.count)], as: UTF8.self))
        }
        let sum = checksum(bytes)
        lines.append("=" + String(decoding: Base64.encode(sum), as: UTF8.self))
        lines += ["-----END \(label)-----", ""]
        return Array(lines.joined(separator: "\n").utf8)
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
        var sum: [UInt8]?
        if let last = body.last, last.hasPrefix("="), last.utf8.count == 5 {
            sum = Base64.decode(last.dropFirst().utf8)
            body.removeLast()
        }
        guard let decoded = Base64.decode(body.joined().utf8), !decoded.isEmpty else {
            throw RktError(.invalidData, "\(name) is damaged: what is between its first and last line is not base64")
        }
        if let sum, sum != checksum(decoded) {
            throw RktError(.invalidData, "\(name) is damaged: its checksum is another one")
        }
        return decoded
    }

    /// CRC-24, as OpenPGP has it.
    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var sum: UInt32 = 0xB7_04CE
        for byte in bytes {
            sum ^= UInt32(byte) << 16
            for _ in 0..<8 {
                sum <<= 1
                if sum & 0x100_0000 != 0 { sum ^= 0x186_4CFB }
            }
        }
        return [
            UInt8(truncatingIfNeeded: sum >> 16), UInt8(truncatingIfNeeded: sum >> 8), UInt8(truncatingIfNeeded: sum),
        ]
    }
}

/// Base64 with padding (RFC 4648, 4), and nothing that is not of it.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (value, digit) in alphabet.enumerated() { values[Int(digit)] = UInt8(value) }
        return values
    }()

    /// The text form.
    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let count = min(3, bytes.count - start)
            var group: UInt32 = 0
            for offset in 0..<3 { group = group << 8 | (offset < count ? UInt32(bytes[start + offset]) : 0) }
            for place in 0..<4 {
                digits.append(place <= count ? alphabet[Int(group >> UInt32(18 - 6 * place) & 63)] : UInt8(ascii: "="))
            }
        }
        return digits
    }

    /// The bytes of a text; nil when it is none.
    static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.suffix(2).filter { $0 == UInt8(ascii: "=") }.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var group: UInt32 = 0
        var count = 0
        for digit in text.dropLast(padding) {
            let value = values[Int(digit)]
            guard value != 0xFF else { return nil }
            group = group << 6 | UInt32(value)
            count += 1
            guard count % 4 == 0 else { continue }
            bytes += [UInt8(group >> 16 & 0xFF), UInt8(group >> 8 & 0xFF), UInt8(group & 0xFF)]
            group = 0
        }
        switch padding {
        case 1: bytes += [UInt8(group >> 10 & 0xFF), UInt8(group >> 2 & 0xFF)]
        case 2: bytes.append(UInt8(group >> 4 & 0xFF))
        default: break
        }
        return bytes
    }
}
