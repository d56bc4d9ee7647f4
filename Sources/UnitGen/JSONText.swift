/// JSON in the making, for what every start of a pod writes: Foundation's encoder takes as long for one bundle as the
/// OCI runtime takes to start it.
enum JSONText {
    case string(String)
    case strings([String])
    case number(Int)
    case flag(Bool)
    case list([JSONText])
    /// Members that are nil are left out; the others are written in the order of their names.
    case object([(String, JSONText?)])
    /// What is JSON already.
    case ready([UInt8])

    /// The JSON, without any space.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1 << 14)
        append(to: &bytes)
        return bytes
    }

    private func append(to bytes: inout [UInt8]) {
        switch self {
        case .string(let text): Self.append(text, to: &bytes)
        case .strings(let texts): Self.append(texts, "[", "]", to: &bytes) { Self.append($0, to: &$1) }
        case .number(let number): bytes += String(number).utf8
        case .flag(let flag): bytes += (flag ? "true" : "false").utf8
        case .list(let items): Self.append(items, "[", "]", to: &bytes) { $0.append(to: &$1) }
        case .object(let members):
            let present = members.compactMap { name, value in value.map { (name, $0) } }.sorted { $0.0 < $1.0 }
            Self.append(present, "{", "}", to: &bytes) { member, bytes in
                Self.append(member.0, to: &bytes)
                bytes.append(UInt8(ascii: ":"))
                member.1.append(to: &bytes)
            }
        case .ready(let json): bytes += json
        }
    }

    private static func append<Item>(
        _ items: [Item],
        _ open: Unicode.Scalar,
        _ close: Unicode.Scalar,
        to bytes: inout [UInt8],
        each: (Item, inout [UInt8]) -> Void
    ) {
        bytes.append(UInt8(ascii: open))
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            each(item, &bytes)
        }
        bytes.append(UInt8(ascii: close))
    }

    private static func append(_ text: String, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes += [UInt8(ascii: "\\"), byte]
            case UInt8(ascii: "\n"): bytes += "\\n".utf8
            case UInt8(ascii: "\t"): bytes += "\\t".utf8
            case UInt8(ascii: "\r"): bytes += "\\r".utf8
            case 0x08: bytes += "\\b".utf8
            case 0x0C: bytes += "\\f".utf8
            case 0..<0x20:
                let digits = String(byte, radix: 16)
                bytes += "\\u00\(digits.utf8.count == 1 ? "0" : "")\(digits)".utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
