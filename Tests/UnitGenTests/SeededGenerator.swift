/// Random numbers that are the same in each run, so that a failure can be repeated (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Characters that mean something to systemd, to shells or to JSON, and some that do not.
    private static let characters: [Unicode.Scalar] = Array(
        ("aZ09 -_.:/%$\"'\\;#=[]{}@!+|~`*?\t\n\r\u{1}\u{1B}\u{7F}\u{85}\u{301}é\u{2028}\u{FEFF}\u{1F600}\0"
            + noncharacters.joined()).unicodeScalars
    )

    /// U+FFFE, U+FDD0 and U+1FFFF: valid in Swift and in JSON, not for systemd. Literals of them are not allowed.
    static let noncharacters = [[0xEF, 0xBF, 0xBE], [0xEF, 0xB7, 0x90], [0xF0, 0x9F, 0xBF, 0xBF]]
        .map { String(decoding: $0 as [UInt8], as: UTF8.self) }

    mutating func text(maximum: Int) -> String {
        var scalars = String.UnicodeScalarView()
        for _ in 0..<Int.random(in: 0...maximum, using: &self) {
            // Half of all characters are harmless, so that not everything is refused.
            let character = Bool.random(using: &self) ? "x" : Self.characters.randomElement(using: &self)
            scalars.append(character ?? "x")
        }
        return String(scalars)
    }

    mutating func bytes(maximum: Int, from alphabet: [UInt8] = Array(0...255)) -> [UInt8] {
        (0..<Int.random(in: 0...maximum, using: &self)).map { _ in alphabet.randomElement(using: &self) ?? 0 }
    }
}
