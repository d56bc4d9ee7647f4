internal import Diagnostics
internal import Pods

/// The dialogue about a key that is to be trusted, on standard error. What a key says about itself is harmless there.
struct TrustReview {
    /// The key.
    let key: KeyTrust.Candidate
    /// The images it is to be for; nil for all.
    let prefix: String?

    private var location: String { "\"\(TerminalText.sanitized(key.location, keeping: []))\"" }

    private var images: String { prefix.map { "for prefix \"\($0)\"" } ?? "for all images" }

    /// What there is to know of the key.
    var text: String {
        var lines = [prefix.map { "prefix: \"\($0)\"" } ?? "root key: for all images", "key: \(location)"]
        if key.isOpenPGP {
            lines.append("gpg key fingerprint is: \(Self.grouped(key.fingerprint))")
            lines += key.subkeys.map { "    Subkey fingerprint: \(Self.grouped($0))" }
        } else {
            lines.append("sigstore key fingerprint is: SHA256:\(key.fingerprint)")
        }
        lines += key.identities.map { "\t\(TerminalText.sanitized($0, keeping: []))" }
        if let problem = key.problem { lines.append("warning: no signature of this key counts: \(problem)") }
        return lines.joined(separator: "\n") + "\n"
    }

    /// `ABCD EF01 …`, as people compare them.
    static func grouped(_ fingerprint: String) -> String {
        let digits = Array(fingerprint.uppercased())
        return stride(from: 0, to: digits.count, by: 4).map { String(digits[$0..<min($0 + 4, digits.count)]) }
            .joined(separator: " ")
    }

    /// Asks on the terminal, until the answer is one.
    ///
    /// - Returns: Whether the key is to be trusted.
    /// - Throws: ``RktError`` with `invalidArgument` where there is no terminal, `cancelled` when it ends.
    func ask() throws -> Bool {
        guard TerminalText.isTerminal(0), TerminalText.isTerminal(2) else {
            throw RktError(
                .invalidArgument,
                "the fingerprint of key \(location) is to be reviewed, which needs a terminal on standard input and error "
                    + "(once you have compared it: --skip-fingerprint-review)"
            )
        }
        while true {
            StandardError.print("Are you sure you want to trust this key (yes/no)? ")
            switch readLine() {
            case "yes": return true
            case "no": return false
            case nil: throw RktError(.cancelled, "nobody has said whether to trust key \(location)")
            default: StandardError.print("Please type \"yes\" or \"no\".\n")
            }
        }
    }

    var refusal: String { "pubkey: Not trusting \(location) \(images).\n" }

    func acceptance(afterReview: Bool) -> String {
        "pubkey: Trusting \(location) \(images) \(afterReview ? "after" : "without") fingerprint review.\n"
    }

    func addition(_ path: String) -> String {
        prefix.map { "pubkey: Added key for prefix \"\($0)\" at \"\(path)\"\n" }
            ?? "pubkey: Added root key at \"\(path)\"\n"
    }
}

/// What is said of an image with a good signature.
enum SignatureReport {
    /// The lines, without the end of the last one.
    static func text(_ identities: [String]) -> String {
        let lines = identities.map { "  \(TerminalText.sanitized($0, keeping: []))" }
        return (["image: signature verified:"] + lines).joined(separator: "\n")
    }
}
