/// IP addresses as text.
enum IPAddress {
    /// Whether a text is an IPv4 address of four decimal numbers, or an IPv6 address (RFC 4291, without a zone).
    static func isValid(_ text: String) -> Bool { isVersion4(text[...]) || isVersion6(text) }

    private static func isVersion4(_ text: Substring) -> Bool {
        let parts = text.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                // A leading zero is octal to some and decimal to others.
                let isPlain = part.count == 1 || part.first != UInt8(ascii: "0")
                return isPlain && (1...3).contains(part.count) && part.allSatisfy { (48...57).contains($0) }
                    && UInt8(String(decoding: part, as: UTF8.self)) != nil
            }
    }

    private static func isVersion6(_ text: String) -> Bool {
        guard text.utf8.allSatisfy({ $0 < 128 }), text.utf8.count <= 45 else { return false }
        let halves = split(text[...])
        guard halves.count <= 2 else { return false }
        var groups = 0
        for (index, half) in halves.enumerated() where !half.isEmpty {
            let parts = half.split(separator: ":", omittingEmptySubsequences: false)
            for (position, part) in parts.enumerated() {
                let isLast = index == halves.count - 1 && position == parts.count - 1
                if isLast, isVersion4(part) {
                    groups += 2
                } else {
                    guard (1...4).contains(part.count), part.allSatisfy(\.isHexDigit) else { return false }
                    groups += 1
                }
            }
        }
        return halves.count == 2 ? groups <= 7 : groups == 8
    }

    /// The text on both sides of the first `::`; three parts when there is another.
    private static func split(_ text: Substring) -> [Substring] {
        var parts: [Substring] = []
        var start = text.startIndex
        var index = start
        while index < text.endIndex {
            let next = text.index(after: index)
            if text[index] == ":", next < text.endIndex, text[next] == ":" {
                parts.append(text[start..<index])
                index = text.index(after: next)
                start = index
            } else {
                index = next
            }
        }
        return parts + [text[start...]]
    }
}
