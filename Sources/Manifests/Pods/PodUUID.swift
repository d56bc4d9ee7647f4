/// The name of a pod: a UUID in its usual form, lower case.
public struct PodUUID: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The sixteen bytes; also the pod's machine id.
    public let bytes: [UInt8]
    /// The UUID as 8-4-4-4-12 lower-case hexadecimal digits.
    public let description: String

    /// Reads a UUID.
    ///
    /// - Parameter text: 8-4-4-4-12 lower-case hexadecimal digits; anything else gives nil.
    public init?(_ text: String) {
        let utf8 = Array(text.utf8)
        guard utf8.count == 36 else { return nil }
        var bytes: [UInt8] = []
        var high: UInt8?
        for (index, character) in utf8.enumerated() {
            if [8, 13, 18, 23].contains(index) {
                guard character == UInt8(ascii: "-") else { return nil }
                continue
            }
            let digit: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = character - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        self.bytes = bytes
        description = text
    }

    /// Makes a version 4 UUID (RFC 9562).
    ///
    /// - Parameter random: Sixteen random bytes.
    public init(random: [UInt8]) {
        precondition(random.count == 16)
        var bytes = random
        bytes[6] = bytes[6] & 0x0F | 0x40
        bytes[8] = bytes[8] & 0x3F | 0x80
        self.bytes = bytes
        let ends = [0, 4, 6, 8, 10, 16]
        description = zip(ends, ends.dropFirst()).map { bytes[$0..<$1].hex }.joined(separator: "-")
    }

    /// The UUID without its dashes: for names in which a dash means something.
    public var hex: String { description.filter { $0 != "-" } }

    /// By the text, as lists are sorted.
    public static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}
