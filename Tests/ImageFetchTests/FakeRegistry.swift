import Diagnostics
import ImageFixtures
import ImageStore
import Manifests
import Synchronization

@testable import ImageFetch

/// What registries of the tests answer, and how they are asked.
enum FakeRegistry {
    /// A registry that has one image, with the tag `1`.
    static func answers(
        _ image: ImageFixture,
        repository: String = "app"
    ) -> @Sendable (TestServer.Request) -> TestServer.Answer {
        let manifest = image.manifestBytes
        let blobs = [image.configBytes] + image.layers.map(\.blob)
        let pairs = blobs.map { ("/v2/\(repository)/blobs/\(ImageFixture.digest($0))", $0) }
        let known = Dictionary(pairs) { first, _ in first }
        let places = ["1", "\(ImageFixture.digest(manifest))"].map { "/v2/\(repository)/manifests/\($0)" }
        return { request in
            if places.contains(request.path) {
                return TestServer.Answer(headers: [("Content-Type", OCI.MediaType.manifest)], body: manifest)
            }
            return known[request.path].map { TestServer.Answer(body: $0) } ?? TestServer.Answer(status: 404)
        }
    }

    /// The path of an image's layer.
    static func layerPath(_ image: ImageFixture, repository: String = "app") -> String {
        "/v2/\(repository)/blobs/\(ImageFixture.digest(image.layers[0].blob))"
    }

    /// An image whose layer comes in many pieces.
    static func large() -> ImageFixture {
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        return ImageFixture([.init([.file("data").with { $0.content = content }])])
    }

    /// Sends requests without waiting between tries.
    static func session(http: Bool = true) throws -> HTTPSession {
        var session = HTTPSession(client: try HTTPClient(HTTPSettings(userAgent: "rkt/test", allowsHTTP: http)))
        session.patience = { _ in 0 }
        return session
    }

    /// Asks for a token that the server's own realm gives.
    static func wantsToken(_ request: TestServer.Request, realm: String? = nil) -> TestServer.Answer {
        let realm = realm ?? "http://\(request.headers["host"] ?? "")/token"
        return TestServer.Answer(
            status: 401,
            headers: [("WWW-Authenticate", #"Bearer realm="\#(realm)",service="the service""#)]
        )
    }
}

extension TestServer.Answer {
    /// Leaves out what comes before a place, as was asked for with `Range`.
    mutating func begin(at start: Int) {
        status = 206
        headers = [("Content-Range", "bytes \(start)-\(body.count - 1)/\(body.count)")]
        body = Array(body.dropFirst(start))
    }
}

/// Has one credential for each of some hosts, and counts who was asked for.
final class ListedCredentials: CredentialSource {
    private let known: [String: Credential]
    private let seen = Mutex<[String]>([])

    /// The hosts that were asked for.
    var hosts: [String] { seen.withLock { $0 } }

    init(_ known: [String: Credential]) {
        self.known = known
    }

    func credential(for host: String, repository: String?) -> Credential? {
        seen.withLock { $0.append(host) }
        return known[host]
    }
}
