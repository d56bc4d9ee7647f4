/// What gpgv says of the signatures of a file, in its lines for programs.
struct SignatureStatus: Equatable {
    /// What there is to say of one signature.
    enum Outcome: Equatable {
        /// It is good, and of a trusted primary key.
        case good(primary: String)
        /// What it signs is something else.
        case bad
        /// It is of a key that was revoked.
        case revokedKey
        /// It is of a key that has expired.
        case expiredKey
        /// It has expired itself.
        case expired
        /// It is of a key that is not trusted for this.
        case unknownKey(String)
        /// It cannot be relied upon, for want of a strong hash or of an algorithm.
        case unusable
    }

    /// The signatures, in their order.
    let outcomes: [Outcome]

    /// Reads the lines.
    ///
    /// - Parameters:
    ///   - text: All lines.
    ///   - allowed: The fingerprints of the primary keys that count.
    init(_ text: String, allowed: Set<String>) {
        var groups: [[[Substring]]] = []
        for line in text.split(separator: "\n") where line.hasPrefix("[GNUPG:] ") {
            let words = line.dropFirst(9).split(separator: " ")
            if words.first == "NEWSIG" {
                groups.append([])
            } else if !groups.isEmpty {
                groups[groups.count - 1].append(words)
            }
        }
        outcomes = groups.map { Self.outcome($0, allowed) }
    }

    /// Stronger ones than SHA-1, by their numbers.
    private static let hashes: Set<Substring> = ["8", "9", "10", "11", "12", "14"]

    private static func outcome(_ lines: [[Substring]], _ allowed: Set<String>) -> Outcome {
        func arguments(_ keyword: Substring) -> [[Substring]] {
            lines.filter { $0.first == keyword }.map { Array($0.dropFirst()) }
        }
        if !arguments("BADSIG").isEmpty { return .bad }
        if !arguments("REVKEYSIG").isEmpty { return .revokedKey }
        if !arguments("EXPKEYSIG").isEmpty { return .expiredKey }
        if !arguments("EXPSIG").isEmpty { return .expired }
        if let error = arguments("ERRSIG").first {
            // Behind the reason, newer versions name the whole fingerprint.
            guard error.count > 5, error[5] == "9" else { return .unusable }
            return .unknownKey((error.count > 6 && error[6] != "-" ? error[6] : error[0]).lowercased())
        }
        let valid = arguments("VALIDSIG")
        guard arguments("GOODSIG").count == 1, valid.count == 1, let valid = valid.first, valid.count >= 9,
            hashes.contains(valid[7]), valid[8] == "00"
        else { return .unusable }
        let primary = (valid.count > 9 ? valid[9] : valid[0]).lowercased()
        return allowed.contains(primary) ? .good(primary: primary) : .unknownKey(primary)
    }
}
