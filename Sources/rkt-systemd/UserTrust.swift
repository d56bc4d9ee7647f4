internal import Pods
internal import Synchronization

/// Whose signatures count for whoever runs the command, and the dialogue about keys that are found on the way.
enum UserTrust {
    /// One question after the other, whatever is fetched at the same time.
    private static let dialogue = Mutex(())

    /// Names the key store.
    ///
    /// - Parameters:
    ///   - directories: The configuration directories that say whom to trust.
    ///   - trustsHTTPS: Whether keys that come over https are trusted without asking.
    ///   - progress: Where to say what the user should know.
    /// - Returns: The trust.
    static func source(directories: [String], trustsHTTPS: Bool, progress: Progress) -> ImageTrust {
        let finding = KeyFinding(trustsHTTPS: trustsHTTPS) { key, prefix in
            guard TerminalText.isTerminal(0), TerminalText.isTerminal(2) else { return nil }
            let review = TrustReview(key: key, prefix: prefix)
            return try dialogue.withLock { _ in
                progress.message(String(review.text.dropLast()))
                return try review.ask()
            }
        } notice: {
            progress.message(TerminalText.sanitized($0, keeping: []))
        }
        return ImageTrust(directories: directories, finding: finding) { progress.message(SignatureReport.text($0)) }
    }
}
