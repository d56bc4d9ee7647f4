internal import ImageFetch

/// Whose word counts for images that are fetched, and who hears of it.
public struct ImageTrust: Sendable {
    let signatures: AppcSignatures
    let keys: TrustedKeys
    let directories: [String]
    let finding: KeyFinding?

    /// Names the key store.
    ///
    /// - Parameters:
    ///   - directories: The system's configuration directory, and this machine's.
    ///   - finding: How keys come to be trusted while images are fetched; nil when they do not.
    ///   - report: Hears of each image with a good signature whose it is.
    public init(
        directories: [String] = [],
        finding: KeyFinding? = nil,
        report: @escaping @Sendable (_ identities: [String]) -> Void = { _ in }
    ) {
        self.directories = directories
        self.finding = finding
        keys = TrustedKeys(directories: directories)
        signatures = AppcSignatures(keys: keys, report: report)
    }
}
