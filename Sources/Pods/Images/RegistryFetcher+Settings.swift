internal import ImageFetch
internal import ImageStore

extension RegistryFetcher {
    /// Makes a fetcher by what the user allows and has configured.
    ///
    /// - Parameters:
    ///   - store: Where images go.
    ///   - insecure: What is not to be enforced.
    ///   - credentials: What to show to servers.
    ///   - directories: The configuration directories.
    ///   - keys: Who may sign images.
    ///   - note: Hears what only somebody who looks for a fault wants to know.
    /// - Throws: ``RktError`` naming a configuration file that is wrong; with `missingDependency` when libcurl is not
    ///   there.
    init(
        store: ImageStore,
        insecure: InsecureOptions,
        credentials: CredentialSettings,
        directories: [String],
        keys: any SigstoreKeySource = NoSigstoreKeys(),
        note: @escaping @Sendable (String) -> Void = { _ in }
    ) throws {
        try self.init(store: store, settings: HTTPSettings(insecure), credentials: credentials, keys: keys)
        rules = RegistryRules(try RegistrySettings(directories: directories).rules)
        self.note = note
    }
}
