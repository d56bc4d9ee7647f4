import Diagnostics
import ImageFixtures
import ImageStore
import Manifests
import Testing

@testable import ImageFetch

/// Somebody with a store, who fetches images from registries of the tests.
struct RegistryUser {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    /// The user's password for a registry: `Basic bWU6c2VjcmV0`.
    func password(_ host: String) -> ListedCredentials {
        ListedCredentials([host: .password(user: "me", password: "secret")])
    }

    /// Fetches an image.
    @discardableResult
    func fetch(
        _ reference: String,
        insecure: Bool = true,
        http: Bool = true,
        credentials: any CredentialSource = NoCredentials(),
        rules: [RegistryRule] = []
    ) throws -> ImageRecord {
        var fetcher = RegistryFetcher(
            store: store,
            session: try FakeRegistry.session(http: http),
            credentials: credentials
        )
        fetcher.rules = RegistryRules(rules)
        return try fetcher.fetch(try DockerReference(reference), options: FetchOptions(insecureImage: insecure))
    }

    /// Fetches an image that cannot be had; then nothing is in the store.
    func error(_ reference: String, insecure: Bool = true, http: Bool = true) -> RktError? {
        let error = #expect(throws: RktError.self) { try fetch(reference, insecure: insecure, http: http) }
        #expect((try? store.list()) == [])
        return error
    }
}
