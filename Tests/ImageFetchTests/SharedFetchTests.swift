import Diagnostics
import ImageFixtures
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch
@testable import ImageStore

/// Fetching what another process is fetching at the same time.
@Suite(.timeLimit(.minutes(10))) struct SharedFetchTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    /// What another process has claimed.
    private final class Other: Sendable {
        let claim: Mutex<DownloadClaim?>

        init(_ store: ImageStore, _ kind: DownloadClaim.Kind, _ digest: Digest, from origin: String) throws {
            claim = Mutex(try store.claim(kind, digest, from: origin) {})
        }
    }

    private static func server(_ image: ImageFixture) throws -> TestServer {
        let blobs = [image.configBytes] + image.layers.map(\.blob)
        let known = Dictionary(blobs.map { ("/v2/app/blobs/\(ImageFixture.digest($0))", $0) }) { first, _ in first }
        let manifest = image.manifestBytes
        return try TestServer { request, _ in
            if request.path == "/v2/app/manifests/1" {
                return TestServer.Answer(headers: [("Content-Type", OCI.MediaType.manifest)], body: manifest)
            }
            return known[request.path].map { TestServer.Answer(body: $0) } ?? TestServer.Answer(status: 404)
        }
    }

    /// Fetches the image; when that waits for `digest`, `meanwhile` is done and the claim ends.
    private func fetch(
        _ server: TestServer,
        claimed kind: DownloadClaim.Kind,
        _ digest: Digest,
        meanwhile: @escaping @Sendable () throws -> Void = {}
    ) throws -> ImageRecord {
        let other = try Other(store, kind, digest, from: server.host)
        let session = HTTPSession(client: try HTTPClient(HTTPSettings(userAgent: "rkt/test", allowsHTTP: true)))
        let fetcher = RegistryFetcher(store: store, session: session, credentials: NoCredentials())
        let record = try fetcher.fetch(
            try DockerReference("\(server.host)/app:1"),
            options: FetchOptions(insecureImage: true)
        ) { item, _, _ in
            guard item.hasSuffix(FetchContext.waiting) else { return }
            #expect(throws: Never.self) { try meanwhile() }
            other.claim.withLock { $0 = nil }
        }
        // It has waited.
        #expect(other.claim.withLock { $0 == nil })
        return record
    }

    private static func blobRequests(_ server: TestServer) -> [String] {
        server.requests.map(\.path).filter { $0.contains("/blobs/") }
    }

    @Test func theSameImageIsFetchedOnce() throws {
        let image = ImageFixture.small
        let server = try Self.server(image)
        let layout = try image.writeLayout(scratch)
        let record = try fetch(server, claimed: .image, ImageFixture.digest(image.manifestBytes)) { [store] in
            _ = try FileFetcher(store: store).fetch(path: layout, options: FetchOptions(insecureImage: true))
        }
        #expect(
            Self.blobRequests(server).filter { $0.hasSuffix(ImageFixture.digest(image.layers[0].blob).hex) }.isEmpty
        )
        #expect(try store.list().map(\.id) == [record.id])
        #expect(try store.verify([record]).damages.isEmpty)
    }

    @Test func whoWaitedTakesOverWhenTheOtherFails() throws {
        let image = ImageFixture.small
        let server = try Self.server(image)
        let record = try fetch(server, claimed: .image, ImageFixture.digest(image.manifestBytes))
        #expect(Self.blobRequests(server).count == 2)
        #expect(try store.verify([record]).damages.isEmpty)
    }

    @Test func aLayerThatTwoImagesHaveIsFetchedOnce() throws {
        let image = ImageFixture.small
        let server = try Self.server(image)
        var other = image
        other.config = #"{"Cmd":["other"]}"#
        let layout = try other.writeLayout(scratch)
        let layer = ImageFixture.digest(image.layers[0].blob)
        let record = try fetch(server, claimed: .layer, layer) { [store] in
            // As an import of another process does before its image is whole.
            let blobs = try store.blobDirectory(.sha256)
            try blobs.write(layer.hex, try Directory(path: layout).read("blobs/sha256/\(layer.hex)"))
        }
        #expect(Self.blobRequests(server).count == 1)
        #expect(try store.verify([record]).damages.isEmpty)
    }

    @Test func aDamagedBlobOfAnothersIsFetchedAgain() throws {
        let image = ImageFixture.small
        let server = try Self.server(image)
        let layer = ImageFixture.digest(image.layers[0].blob)
        var bytes = image.layers[0].blob
        bytes[0] ^= 1
        let record = try fetch(server, claimed: .layer, layer) { [store, bytes] in
            try store.blobDirectory(.sha256).write(layer.hex, bytes)
        }
        #expect(Self.blobRequests(server).count == 2)
        #expect(try store.verify([record]).damages.isEmpty)
    }
}
