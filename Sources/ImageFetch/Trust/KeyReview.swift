internal import Diagnostics

/// A key as somebody should look at it before they trust it.
public struct KeyReview: Sendable {
    /// The key.
    public let key: TrustedKey
    /// Why its signatures would not count, if they would not: it has expired, or was revoked.
    public let problem: String?

    /// Has gpg look at an OpenPGP key; one of sigstore's kind ends of itself neither way.
    ///
    /// - Parameter key: The key.
    /// - Throws: `RktError` with `invalidData` when gpg does not see in it what it says it is, `missingDependency`
    ///   without gpg.
    public init(_ key: TrustedKey) throws {
        self.key = key
        guard key.kind == .openPGP else {
            problem = nil
            return
        }
        let answer = try GnuPG.run(
            "gpg",
            [
                "--no-options", "--batch", "--no-tty", "--no-autostart", "--no-auto-check-trustdb",
                "--no-default-keyring",
                "--trust-model", "always", "--with-colons", "--fixed-list-mode", "--keyring",
                "/proc/self/fd/\(GnuPG.firstFile)", "--list-keys",
            ],
            files: [try PGPKey(key.contents, name: key.path).bytes]
        )
        let lines = answer.output.split(separator: "\n").map { line in
            line.split(separator: ":", omittingEmptySubsequences: false)
        }
        let primary = lines.indices.filter { lines[$0].first == "pub" }
        guard primary.count == 1, let first = primary.first, first + 1 < lines.count,
            let fingerprint = lines[first + 1].first == "fpr" ? lines[first + 1].dropFirst(9).first : nil,
            fingerprint.lowercased() == key.fingerprint
        else {
            throw RktError(.invalidData, "key \(key.path) is none that gpg can use")
        }
        // Anybody can write a name into a key; gpg dates those that the key itself has signed.
        guard lines.allSatisfy({ $0.first != "uid" || $0.dropFirst(5).first?.isEmpty == false }) else {
            throw RktError(
                .invalidData,
                "key \(key.path) has a user ID that its owner has not signed: somebody wrote it in there"
            )
        }
        switch lines[first].dropFirst().first {
        case "r": problem = "it was revoked"
        case "e": problem = "it has expired"
        case "i", "d": problem = "it is not valid"
        default: problem = nil
        }
    }
}
