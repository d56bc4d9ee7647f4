import Diagnostics
import FoundationEssentials
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// Registries that do what real ones do on a bad day, or never.
@Suite struct RegistryTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    typealias Answer = TestServer.Answer
    typealias Request = TestServer.Request

    private struct OnePassword: CredentialSource {
        let host: String

        func credential(for host: String, repository: String?) -> Credential? {
            host == self.host ? .password(user: "me", password: "secret") : nil
        }
    }

    private func fetch(
        _ reference: String,
        insecure: Bool = true,
        http: Bool = true,
        credentials: any CredentialSource = NoCredentials()
    ) throws -> ImageRecord {
        var session = HTTPSession(client: try HTTPClient(HTTPSettings(userAgent: "rkt/test", allowsHTTP: http)))
        session.patience = { _ in 0 }
        return try RegistryFetcher(store: store, session: session, credentials: credentials).fetch(
            try DockerReference(reference),
            options: FetchOptions(insecureImage: insecure)
        )
    }

    private func error(_ reference: String, insecure: Bool = true, http: Bool = true) -> RktError? {
        let error = #expect(throws: RktError.self) { try fetch(reference, insecure: insecure, http: http) }
        #expect((try? store.list()) == [])
        return error
    }

    /// What a registry answers that has one image, `app:1`.
    private static func registry(_ image: ImageFixture) -> @Sendable (Request) -> Answer {
        let manifest = image.manifestBytes
        let blobs = [image.configBytes] + image.layers.map(\.blob)
        let known = Dictionary(blobs.map { ("/v2/app/blobs/\(ImageFixture.digest($0))", $0) }) { first, _ in first }
        return { request in
            if ["/v2/app/manifests/1", "/v2/app/manifests/\(ImageFixture.digest(manifest))"].contains(request.path) {
                return Answer(headers: [("Content-Type", OCI.MediaType.manifest)], body: manifest)
            }
            return known[request.path].map { Answer(body: $0) } ?? Answer(status: 404)
        }
    }

    private static func layerPath(_ image: ImageFixture) -> String {
        "/v2/app/blobs/\(ImageFixture.digest(image.layers[0].blob))"
    }

    private static func large() -> ImageFixture {
        let content = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        return ImageFixture([.init([.file("data").with { $0.content = content }])])
    }

    // MARK: What is right

    @Test func anImageIsFetchedOnce() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in registry(request) }
        let record = try fetch("\(server.host)/app:1")
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        #expect(record.id == "sha256-\(digest.hex)")
        #expect(record.names == ["\(server.host)/app:1", "\(server.host)/app@\(digest)"])
        #expect(!record.verification.isVerified)
        #expect(try store.image(fetchedFrom: "\(server.host)/app:1", verified: false)?.id == record.id)
        // Nobody vouched for what the tag leads to; that a digest leads there needs nobody's word.
        #expect(try store.image(fetchedFrom: "\(server.host)/app:1", verified: true) == nil)
        #expect(try store.image(fetchedFrom: "\(server.host)/app@\(digest)", verified: true)?.id == record.id)
        #expect(try store.image(fetchedFrom: "\(server.host)/app:2", verified: false) == nil)
        let before = server.requests.count
        _ = try fetch("\(server.host)/app:1")
        // The layer is there.
        #expect(!server.requests.dropFirst(before).contains { $0.path.hasSuffix(record.layers[0].blob.hex) })
        #expect(
            server.requests.allSatisfy { $0.headers["user-agent"] == "rkt/test" && $0.headers["authorization"] == nil }
        )
    }

    @Test func aPinnedImageNeedsNoPermission() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in registry(request) }
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        let record = try fetch("\(server.host)/app@\(digest)", insecure: false)
        #expect(record.verification.isVerified)
    }

    @Test func whatNobodySignedIsRefusedWithTheWaysOn() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in registry(request) }
        let refusal = try #require(error("\(server.host)/app:1", insecure: false))
        #expect(refusal.code == .permissionDenied)
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        #expect("\(refusal)".contains("docker://\(server.host)/app@\(digest)"))
        #expect("\(refusal)".contains("--insecure-options=image"))
        #expect(!server.requests.contains { $0.path.contains("/blobs/") })
    }

    /// A file can have any name written into it.
    @Test func aNameInAFileIsNoReferenceToARegistry() throws {
        let digest = ImageFixture.digest([7])
        for name in ["example.com/app@\(digest)", "example.com/app:1"] {
            var image = ImageFixture.small
            image.name = name
            let path = try scratch.file("\(UInt64.random(in: 0...(.max))).tar", image.layoutTar)
            let record = try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
            #expect(record.names.contains(name))
            #expect(try store.image(fetchedFrom: name, verified: false) == nil)
        }
    }

    @Test func aTagThatMovesLeadsToOneImage() throws {
        let old = ImageFixture.small
        var new = ImageFixture.small
        new.config = "{}"
        let isMoved = Mutex(false)
        let registries = (Self.registry(old), Self.registry(new))
        let server = try TestServer { request, _ in
            let answer = isMoved.withLock { $0 } ? registries.1(request) : registries.0(request)
            return answer.status == 404 ? registries.0(request) : answer
        }
        let first = try fetch("\(server.host)/app:1")
        isMoved.withLock { $0 = true }
        let second = try fetch("\(server.host)/app:1")
        #expect(first.id != second.id)
        // The old one is fetched again, by its digest: its import is the newer one then.
        let digest = ImageFixture.digest(old.manifestBytes)
        #expect(try fetch("\(server.host)/app:1@\(digest)", insecure: false).id == first.id)
        #expect(try store.image(fetchedFrom: "\(server.host)/app:1", verified: false)?.id == second.id)
        #expect(try store.list().filter { $0.names.contains("\(server.host)/app:1") }.map(\.id) == [second.id])
    }

    @Test func anIndexLeadsToTheImageForThisPlatform() throws {
        let image = ImageFixture.small
        let registry = Self.registry(image)
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
        let record = try fetch("\(server.host)/app:1")
        #expect(record.id == "sha256-\(ImageFixture.digest(manifest).hex)")
        #expect(record.names.contains("\(server.host)/app@\(ImageFixture.digest(index))"))
    }

    // MARK: Who lets in

    @Test func aTokenIsGotAndShown() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in
            if request.path.hasPrefix("/token?") {
                return Answer(body: Array(#"{"token":"the-token"}"#.utf8))
            }
            if request.headers["authorization"] == "Bearer the-token" { return registry(request) }
            let host = request.headers["host"] ?? ""
            return Answer(
                status: 401,
                headers: [("WWW-Authenticate", #"Bearer realm="http://\#(host)/token",service="the service""#)]
            )
        }
        _ = try fetch("\(server.host)/app:1", credentials: OnePassword(host: server.host))
        let asked = try #require(server.requests.first { $0.path.hasPrefix("/token") })
        #expect(asked.path == "/token?service=the%20service&scope=repository:app:pull")
        #expect(asked.headers["authorization"] == "Basic bWU6c2VjcmV0")
        // Once for all.
        #expect(server.requests.filter { $0.path.hasPrefix("/token") }.count == 1)
    }

    @Test func aPasswordIsShownWhereItIsAskedFor() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in
            if request.headers["authorization"] == "Basic bWU6c2VjcmV0" { return registry(request) }
            return Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
        }
        _ = try fetch("\(server.host)/app:1", credentials: OnePassword(host: server.host))
        let error = #expect(throws: RktError.self) { try fetch("\(server.host)/app:1") }
        #expect(error?.code == .permissionDenied)
    }

    @Test func credentialsStayWithTheRegistry() throws {
        let image = ImageFixture.small
        let registry = Self.registry(image)
        let elsewhere = try TestServer { request, _ in
            registry(Request(method: "GET", path: "/v2/app\(request.path)", headers: [:]))
        }
        let target = "http://localhost:\(elsewhere.port)"
        let server = try TestServer { request, _ in
            guard request.headers["authorization"] != nil else {
                return Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
            }
            guard request.path.contains("/blobs/") else { return registry(request) }
            return Answer(status: 307, headers: [("Location", target + request.path.dropFirst("/v2/app".count))])
        }
        _ = try fetch("\(server.host)/app:1", credentials: OnePassword(host: server.host))
        #expect(!elsewhere.requests.isEmpty)
        #expect(elsewhere.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test func credentialsAreNotShownToARealmElsewhere() throws {
        let realm = try TestServer { _, _ in Answer(body: Array(#"{"token":"t"}"#.utf8)) }
        let place = "http://localhost:\(realm.port)/token"
        let server = try TestServer { _, _ in
            Answer(status: 401, headers: [("WWW-Authenticate", #"Bearer realm="\#(place)""#)])
        }
        #expect(throws: RktError.self) {
            try fetch("\(server.host)/app:1", credentials: OnePassword(host: server.host))
        }
        #expect(realm.requests.count == 1)
        #expect(realm.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test func whoeverARegistryLeadsToIsToldNothing() throws {
        let registry = Self.registry(.small)
        let elsewhere = try TestServer { _, _ in
            Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
        }
        let target = "http://localhost:\(elsewhere.port)/blob"
        let server = try TestServer { request, _ in
            request.path.contains("/blobs/") ? Answer(status: 307, headers: [("Location", target)]) : registry(request)
        }
        let error = #expect(throws: RktError.self) {
            try fetch("\(server.host)/app:1", credentials: OnePassword(host: server.host))
        }
        #expect("\(try #require(error))".contains("localhost:\(elsewhere.port) does not let you in"))
        #expect((server.requests + elsewhere.requests).allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test(arguments: [
        ("https://registry.example.com", "https://registry.example.com", true),
        ("https://registry.example.com:5000", "https://registry.example.com", true),
        ("https://registry.gitlab.com", "https://gitlab.com", true),
        ("https://example.com", "https://auth.example.com", true),
        ("https://example.com", "http://example.com", false), ("https://example.com", "https://example.org", false),
        ("https://a.com", "https://com", false), ("https://evil-example.com", "https://example.com", false),
        ("https://10.0.0.1", "https://0.0.1", false), ("https://quay.io", "https://auth.docker.io", false),
        ("https://registry-1.docker.io", "https://auth.docker.io", true),
    ])
    func realmsOfOneHouse(registry: String, realm: String, isTrusted: Bool) throws {
        let origin = try HTTPLocation(registry).origin
        #expect(
            RegistryToken.isOfOneHouse(origin, try HTTPLocation(realm).origin, host: origin.host) == isTrusted
        )
    }

    /// Nothing that ends a line of a request.
    @Test(arguments: ["", "a b", #"a\r\nX-Other: b"#, #"\u0000"#, "é"])
    func aTokenThatCannotBeShownIsRefused(token: String) throws {
        let server = try TestServer { request, _ in
            if request.path.hasPrefix("/token") { return Answer(body: Array(#"{"token":"\#(token)"}"#.utf8)) }
            let realm = "http://\(request.headers["host"] ?? "")/token"
            return Answer(status: 401, headers: [("WWW-Authenticate", #"Bearer realm="\#(realm)""#)])
        }
        #expect(error("\(server.host)/app:1")?.code == .invalidData)
        #expect(server.requests.allSatisfy { $0.headers["authorization"] == nil && $0.headers["x-other"] == nil })
    }

    // MARK: Bad days

    @Test func aBrokenDownloadGoesOn() throws {
        let image = Self.large()
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if let range = request.headers["range"], let start = Int(range.dropFirst(6).dropLast()) {
                let size = answer.body.count
                answer.status = 206
                answer.headers = [("Content-Range", "bytes \(start)-\(size - 1)/\(size)")]
                answer.body = Array(answer.body.dropFirst(start))
            }
            answer.sent = min(100_000, answer.body.count)
            return answer
        }
        _ = try fetch("\(server.host)/app:1")
        let ranges = server.requests.filter { $0.path == layer }.map { $0.headers["range"] ?? "" }
        let size = image.layers[0].blob.count
        #expect(ranges == [""] + stride(from: 100_000, to: size, by: 100_000).map { "bytes=\($0)-" })
    }

    /// However small the first piece is, it is seen how the layer is compressed.
    @Test(arguments: [1, 2, 5, 7, 9])
    func aDownloadMayBeginSlowly(first: Int) throws {
        var image = Self.large()
        image.layers[0].blob = try scratch.compressed(image.layers[0].tar, with: "gzip")
        image.layers[0].mediaType = OCI.MediaType.layer + "+gzip"
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if request.headers["range"] == "bytes=\(first)-" {
                answer.status = 206
                answer.headers = [("Content-Range", "bytes \(first)-\(answer.body.count - 1)/\(answer.body.count)")]
                answer.body = Array(answer.body.dropFirst(first))
            } else {
                answer.sent = first
            }
            return answer
        }
        _ = try fetch("\(server.host)/app:1")
    }

    @Test func aTokenMayEndOnTheWay() throws {
        let image = Self.large()
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let tokens = Mutex(0)
        let server = try TestServer { request, _ in
            if request.path.hasPrefix("/token?") {
                let number = tokens.withLock { count in
                    count += 1
                    return count
                }
                return Answer(body: Array(#"{"token":"t\#(number)"}"#.utf8))
            }
            let number = tokens.withLock { $0 }
            let isGood = request.headers["authorization"] == "Bearer t\(number)"
            let isResumed = request.headers["range"] != nil
            guard isGood, !isResumed || number > 1 else {
                let realm = "http://\(request.headers["host"] ?? "")/token"
                return Answer(status: 401, headers: [("WWW-Authenticate", #"Bearer realm="\#(realm)""#)])
            }
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if isResumed {
                answer.status = 206
                answer.headers = [("Content-Range", "bytes 100000-\(answer.body.count - 1)/\(answer.body.count)")]
                answer.body = Array(answer.body.dropFirst(100_000))
            } else {
                answer.sent = 100_000
            }
            return answer
        }
        _ = try fetch("\(server.host)/app:1")
        #expect(tokens.withLock { $0 } == 2)
    }

    @Test func anotherPartThanAskedForIsRefused() throws {
        let image = Self.large()
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if request.headers["range"] != nil {
                answer.status = 206
                answer.headers = [("Content-Range", "bytes 0-9/\(answer.body.count)")]
            }
            answer.sent = 100_000
            return answer
        }
        #expect(error("\(server.host)/app:1")?.code == .invalidData)
    }

    /// Where only the end of the connection says that this is all.
    @Test func whatEndsEarlyWithoutALengthGoesOn() throws {
        let image = Self.large()
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let tries = Mutex(0)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            answer.hasLength = false
            let number = tries.withLock { count in
                count += 1
                return count
            }
            if number == 1 { answer.sent = 70_000 }
            return answer
        }
        _ = try fetch("\(server.host)/app:1")
        #expect(tries.withLock { $0 } == 2)
    }

    @Test(arguments: [200, 302, 401, 404])
    func whatNeverEndsIsCutOff(status: Int) throws {
        let server = try TestServer { _, _ in
            Answer(
                status: status,
                headers: [("Location", "/elsewhere")],
                body: [UInt8](repeating: 0x20, count: 1 << 20),
                isEndless: true
            )
        }
        #expect(error("\(server.host)/app:1") != nil)
    }

    @Test func aServerThatCannotBeginInTheMiddleIsReadAgain() throws {
        let image = Self.large()
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let tries = Mutex(0)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path == layer,
                tries.withLock({
                    $0 += 1; return $0
                }) < 3
            {
                answer.sent = 150_000
            }
            return answer
        }
        _ = try fetch("\(server.host)/app:1")
    }

    @Test func busyServersAreAskedAgain() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, number in
            number % 3 != 0
                ? Answer(status: number % 2 == 0 ? 429 : 503, headers: [("Retry-After", "0")]) : registry(request)
        }
        _ = try fetch("\(server.host)/app:1")
    }

    @Test func aServerThatStaysBusyIsGivenUp() throws {
        let server = try TestServer { _, _ in Answer(status: 503) }
        #expect(error("\(server.host)/app:1")?.code == .unavailable)
        #expect(server.requests.count < 10)
    }

    // MARK: Lies

    @Test func anotherManifestThanPinnedIsRefused() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in
            request.path.contains("/manifests/")
                ? registry(Request(method: "GET", path: "/v2/app/manifests/1", headers: [:])) : registry(request)
        }
        let other = ImageFixture.digest([1])
        #expect(error("\(server.host)/app@\(other)", insecure: false)?.code == .digestMismatch)
        #expect(!server.requests.contains { $0.path.contains("/blobs/") })
    }

    @Test(arguments: [0, 1, 20_000])
    func moreOrLessOrOtherThanPromisedIsRefused(extra: Int) throws {
        let image = ImageFixture.small
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if extra == 0 { answer.body[600] ^= 1 } else { answer.body += [UInt8](repeating: 0, count: extra) }
            return answer
        }
        #expect(error("\(server.host)/app:1")?.code == .digestMismatch)
    }

    @Test func aLayerThatIsCutOffIsRefused() throws {
        let image = ImageFixture.small
        let registry = Self.registry(image)
        let layer = Self.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path == layer { answer.body = Array(answer.body.dropLast(512)) }
            return answer
        }
        #expect(error("\(server.host)/app:1")?.code == .digestMismatch)
    }

    @Test func aDocumentOfAnotherKindThanAnnouncedIsRefused() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path.contains("/manifests/") { answer.headers = [("Content-Type", OCI.MediaType.index)] }
            return answer
        }
        #expect(error("\(server.host)/app:1")?.code == .invalidData)
    }

    @Test func anEndlessManifestIsRefused() throws {
        let server = try TestServer { _, _ in Answer(body: [UInt8](repeating: 0x20, count: 5 << 20)) }
        #expect(error("\(server.host)/app:1")?.code == .limitExceeded)
    }

    @Test func redirectsInACircleEnd() throws {
        let server = try TestServer { request, _ in Answer(status: 302, headers: [("Location", request.path)]) }
        #expect(error("\(server.host)/app:1")?.code == .unavailable)
        #expect(server.requests.count < 30)
    }

    @Test(arguments: [
        "file:///etc/shadow", "gopher://HOST/x", "http://me:secret@HOST/x", "http://:secret@HOST/x", "http://[",
    ])
    func redirectsLeadOnlyToServers(target: String) throws {
        let elsewhere = try TestServer { _, _ in Answer() }
        let place = target.replacing("HOST", with: elsewhere.host)
        let server = try TestServer { _, _ in Answer(status: 302, headers: [("Location", place)]) }
        #expect(error("\(server.host)/app:1")?.code == .invalidData)
        #expect(elsewhere.requests.isEmpty)
    }

    @Test func plainHTTPIsUsedOnlyWhenAskedFor() throws {
        let registry = Self.registry(.small)
        let server = try TestServer { request, _ in registry(request) }
        let refusal = try #require(error("\(server.host)/app:1", http: false))
        #expect("\(refusal)".contains("--insecure-options=http"))
        #expect(server.requests.isEmpty)
    }

    @Test func whatARegistrySaysCannotMoveTheCursor() throws {
        let words = #"{"errors":[{"code":"X","message":"no \u001b[2Jsuch \u202eimage\n"}]}"#
        let server = try TestServer { _, _ in Answer(status: 404, body: Array(words.utf8)) }
        let problem = try #require(error("\(server.host)/app:1"))
        #expect(problem.code == .notFound)
        #expect("\(problem)".hasSuffix("no [2Jsuch image"))
    }
}
