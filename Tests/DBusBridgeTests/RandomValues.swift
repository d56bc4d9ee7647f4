import DBusBridge

/// A small seeded generator: the same values in every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        // SplitMix64's constants.
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

extension DBusValue {
    /// A signature of one complete type.
    static func randomSignature(depth: Int, using generator: inout SeededGenerator) -> String {
        let basics = ["y", "b", "n", "q", "i", "u", "x", "t", "d", "s", "o", "g"]
        let kind = depth == 0 ? 0 : Int.random(in: 0..<6, using: &generator)
        switch kind {
        case 1: return "a" + randomSignature(depth: depth - 1, using: &generator)
        case 2:
            let key = basics.randomElement(using: &generator) ?? "s"
            return "a{" + key + randomSignature(depth: depth - 1, using: &generator) + "}"
        case 3:
            let count = Int.random(in: 1...3, using: &generator)
            return "(" + (0..<count).map { _ in randomSignature(depth: depth - 1, using: &generator) }.joined() + ")"
        case 4: return "v"
        default: return basics.randomElement(using: &generator) ?? "s"
        }
    }

    /// A value of a type, in the form that decoding gives it.
    static func random(_ signature: Substring, depth: Int, using generator: inout SeededGenerator) -> DBusValue {
        let count = Int.random(in: 0...3, using: &generator)
        switch signature.first {
        case "y": return .byte(.random(in: .min ... .max, using: &generator))
        case "b": return .bool(.random(using: &generator))
        case "n": return .int16(.random(in: .min ... .max, using: &generator))
        case "q": return .uint16(.random(in: .min ... .max, using: &generator))
        case "i": return .int32(.random(in: .min ... .max, using: &generator))
        case "u": return .uint32(.random(in: .min ... .max, using: &generator))
        case "x": return .int64(.random(in: .min ... .max, using: &generator))
        case "t": return .uint64(.random(in: .min ... .max, using: &generator))
        case "d": return .double(.random(in: -1e9...1e9, using: &generator))
        case "o": return .objectPath("/a/b\(count)")
        case "g": return .signature(String(repeating: "as", count: count))
        case "a" where signature == "ay":
            return .bytes((0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
        case "a" where signature.dropFirst().first == "{":
            let key = signature.dropFirst(2).prefix(1)
            let value = signature.dropFirst(3).dropLast()
            let entries = (0..<count).map { _ in
                DBusEntry(
                    random(key, depth: depth, using: &generator),
                    random(value, depth: depth - 1, using: &generator)
                )
            }
            return .dictionary(keySignature: String(key), valueSignature: String(value), entries)
        case "a":
            let element = signature.dropFirst()
            return .array(
                elementSignature: String(element),
                (0..<count).map { _ in random(element, depth: depth - 1, using: &generator) }
            )
        case "(":
            return .structure(
                split(signature.dropFirst().dropLast()).map { random($0, depth: depth - 1, using: &generator) }
            )
        case "v":
            let inner = randomSignature(depth: max(0, depth - 1), using: &generator)
            return .variant(random(inner[...], depth: depth - 1, using: &generator))
        default: return .string(["", "x", "längerer Text, länger als fünfzehn Bytes", "\u{1F980}"][count])
        }
    }

    /// The complete types in a signature.
    private static func split(_ signature: Substring) -> [Substring] {
        var types: [Substring] = []
        var rest = signature
        while !rest.isEmpty {
            var open = 0
            var length = 0
            for character in rest {
                length += 1
                if "({".contains(character) { open += 1 }
                if ")}".contains(character) { open -= 1 }
                if open == 0, character != "a" { break }
            }
            types.append(rest.prefix(length))
            rest = rest.dropFirst(length)
        }
        return types
    }
}
