/// Changes bytes in ways that break readers; the same seed makes the same changes.
public struct Mutator {
    private var state: UInt64

    /// A mutator.
    ///
    /// - Parameter seed: What the changes depend on.
    public init(seed: UInt64) {
        state = seed
    }

    /// A number below `limit`, which must not be 0.
    public mutating func number(below limit: Int) -> Int {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return Int((value ^ (value >> 31)) % UInt64(limit))
    }

    private static let words: [[UInt8]] =
        [
            "\0", "\"", "\\", "/", "..", "../", "%00", "\n", ",", ":", "@", "=", "{}", "[]", "null", "-1", "1e999",
            "18446744073709551616", "\\u0000", "sha256:", "\u{0}\u{0}\u{0}\u{0}", "é", "\u{301}",
        ].map { Array($0.utf8) } + [[0xff], [0x80], [0xc0, 0xaf], [0x1f, 0x8b, 8], [0x28, 0xb5, 0x2f, 0xfd]]

    /// A changed copy.
    ///
    /// - Parameters:
    ///   - original: What is changed.
    ///   - others: Where parts are taken from.
    /// - Returns: The copy; at most 64 KiB longer.
    public mutating func mutate(_ original: [UInt8], with others: [[UInt8]]) -> [UInt8] {
        var bytes = original
        for _ in 0...number(below: 4) {
            let place = number(below: bytes.count + 1)
            let end = min(bytes.count, place + 1 + number(below: 64))
            switch number(below: 8) {
            case 0 where place < bytes.count: bytes[place] ^= UInt8(1 << number(below: 8))
            case 1 where place < bytes.count: bytes[place] = UInt8(number(below: 256))
            case 2: bytes.removeSubrange(place..<end)
            case 3: bytes.insert(contentsOf: bytes[place..<end], at: place)
            case 4: bytes.insert(contentsOf: Self.words[number(below: Self.words.count)], at: place)
            case 5:
                let other = others[number(below: others.count)]
                let start = number(below: other.count + 1)
                bytes.insert(contentsOf: other[start..<min(other.count, start + 512)], at: place)
            case 6: bytes.removeSubrange(place...)
            default:
                let word = Self.words[number(below: Self.words.count)]
                bytes.replaceSubrange(place..<min(bytes.count, place + word.count), with: word)
            }
        }
        return bytes
    }

    /// Makes the checksums of a tar's headers right again, or nothing behind a changed one would ever be read.
    ///
    /// - Parameter bytes: The tar.
    public static func mendChecksums(_ bytes: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count - 511, by: 512)
        where bytes[start + 257..<start + 262].elementsEqual("ustar".utf8) {
            bytes.replaceSubrange(start + 148..<start + 156, with: repeatElement(0x20, count: 8))
            let digits = String(bytes[start..<start + 512].reduce(0) { $0 + Int($1) }, radix: 8)
            let field = String(repeating: "0", count: 6 - digits.utf8.count) + digits
            bytes.replaceSubrange(start + 148..<start + 155, with: Array(field.utf8) + [0])
        }
    }
}
