import Diagnostics
import Glibc
import ImageFixtures
import ImageStore
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// Images from registries that do what they should.
@Suite struct RegistryTests {
    let user: RegistryUser

    init() throws {
        user = try RegistryUser()
    }

    typealias Answer = TestServer.Answer

    @Test func anImageIsFetchedOnce() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in registry(request) }
        let record = try user.fetch("\(server.host)/app:1")
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        #expect(record.id == "sha256-\(digest.hex)")
        #expect(record.names == ["\(server.host)/app:1", "\(server.host)/app@\(digest)"])
        #expect(!record.verification.isVerified)
        #expect(try user.store.image(fetchedFrom: "\(server.host)/app:1", verified: false)?.id == record.id)
        // Nobody vouched for what the tag leads to; that a digest leads there needs nobody's word.
        #expect(try user.store.image(fetchedFrom: "\(server.host)/app:1", verified: true) == nil)
        #expect(try user.store.image(fetchedFrom: "\(server.host)/app@\(digest)", verified: true)?.id == record.id)
        #expect(try user.store.image(fetchedFrom: "\(server.host)/app:2", verified: false) == nil)
        let before = server.requests.count
        _ = try user.fetch("\(server.host)/app:1")
        // All that a digest names is there.
        #expect(server.requests.dropFirst(before).map(\.path) == ["/v2/app/manifests/1"])
        // What is there and is not what its digest names comes again.
        let config = try #require(record.config)
        let path = "\(user.store.root)/blobs/\(config.algorithm.rawValue)/\(config.hex)"
        try #require(truncate(path, 10) == 0)
        _ = try user.fetch("\(server.host)/app:1")
        #expect(server.requests.last?.path == "/v2/app/blobs/\(config)")
        #expect(try user.store.verify([record]).damages.isEmpty)
        #expect(
            server.requests.allSatisfy { $0.headers["user-agent"] == "rkt/test" && $0.headers["authorization"] == nil }
        )
    }

    @Test func aPinnedImageNeedsNoPermission() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in registry(request) }
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        let record = try user.fetch("\(server.host)/app@\(digest)", insecure: false)
        #expect(record.verification.isVerified)
    }

    @Test func whatNobodySignedIsRefusedWithTheWaysOn() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in registry(request) }
        let refusal = try #require(user.error("\(server.host)/app:1", insecure: false))
        #expect(refusal.code == .permissionDenied)
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        #expect("\(refusal)".contains("docker://\(server.host)/app@\(digest)"))
        #expect("\(refusal)".contains("--insecure-options=image"))
        #expect(!server.requests.contains { $0.path.contains("/blobs/") })
    }

    /// A file can have any name written into it.
    @Test func aNameInAFileIsNoReferenceToARegistry() throws {
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        for name in ["example.com/app@\(digest)", "example.com/app:1"] {
            var image = ImageFixture.small
            image.name = name
            let path = try user.scratch.file("\(UInt64.random(in: 0...(.max))).tar", image.layoutTar)
            let fetcher = FileFetcher(store: user.store)
            let record = try fetcher.fetch(path: path, options: FetchOptions(insecureImage: true))
            #expect(record.names.contains(name))
            #expect(try user.store.image(fetchedFrom: name, verified: false) == nil)
        }
    }

    @Test func aTagThatMovesLeadsToOneImage() throws {
        let old = ImageFixture.small
        var new = ImageFixture.small
        new.config = "{}"
        let isMoved = Mutex(false)
        let registries = (FakeRegistry.answers(old), FakeRegistry.answers(new))
        let server = try TestServer { request, _ in
            let answer = isMoved.withLock { $0 } ? registries.1(request) : registries.0(request)
            return answer.status == 404 ? registries.0(request) : answer
        }
        let first = try user.fetch("\(server.host)/app:1")
        isMoved.withLock { $0 = true }
        let second = try user.fetch("\(server.host)/app:1")
        #expect(first.id != second.id)
        // The old one is fetched again, by its digest: its import is the newer one then.
        let digest = ImageFixture.digest(old.manifestBytes)
        #expect(try user.fetch("\(server.host)/app:1@\(digest)", insecure: false).id == first.id)
        #expect(try user.store.image(fetchedFrom: "\(server.host)/app:1", verified: false)?.id == second.id)
        #expect(try user.store.list().filter { $0.names.contains("\(server.host)/app:1") }.map(\.id) == [second.id])
    }

    @Test func anIndexLeadsToTheImageForThisPlatform() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let manifest = image.manifestBytes
        func entry(_ digest: Digest, _ size: Int, _ platform: OCI.Platform) -> String {
            #"{"mediaType":"\#(OCI.MediaType.manifest)","digest":"\#(digest)","size":\#(size),"#
                + #""platform":{"os":"\#(platform.os)","architecture":"\#(platform.architecture)"}}"#
        }
        let other = entry(ImageFixture.digest([1]), 1, OCI.Platform(os: "linux", architecture: "s390x", variant: nil))
        let own = entry(ImageFixture.digest(manifest), manifest.count, image.platform)
        let index = Array(
            #"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.index)","manifests":[\#(other),\#(own)]}"#.utf8
        )
        let server = try TestServer { request, _ in
            guard request.path == "/v2/app/manifests/1" else { return registry(request) }
            return Answer(headers: [("Content-Type", OCI.MediaType.index)], body: index)
        }
        let record = try user.fetch("\(server.host)/app:1")
        #expect(record.id == "sha256-\(ImageFixture.digest(manifest).hex)")
        #expect(record.names.contains("\(server.host)/app@\(ImageFixture.digest(index))"))
    }
}
