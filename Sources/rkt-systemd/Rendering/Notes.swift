/// What libraries have to say to somebody who looks for a fault (`--debug`).
enum Notes {
    /// What hears it.
    ///
    /// - Parameter isWanted: Whether it is printed, to standard error.
    /// - Returns: The sink.
    static func sink(isWanted: Bool) -> @Sendable (String) -> Void {
        guard isWanted else { return { _ in } }
        return { StandardError.print("image: \(TerminalText.sanitized($0))\n") }
    }
}
