import Diagnostics
import ImageFixtures
import ImageStore
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// Mirrors by configuration, good and bad ones.
@Suite struct RegistryMirrorTests {
    let scratch: Scratch
    let store: ImageStore
    private let notes = Notes()

    private final class Notes: Sendable {
        let all = Mutex<[String]>([])
    }

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    typealias Answer = TestServer.Answer

    private func fetch(
        _ reference: String,
        mirrors: [String],
        insecure: Bool = true,
        http: Bool = true,
        credentials: any CredentialSource = NoCredentials(),
        pace: HTTPPace = .ofMirrors,
        change: (inout RegistryRule) throws -> Void = { _ in }
    ) throws -> ImageRecord {
        let reference = try DockerReference(reference)
        var rule = RegistryRule(prefix: try RegistryPlace(reference.registry))
        rule.mirrors = try mirrors.map { RegistryRule.Mirror(location: try RegistryPlace($0), isInsecure: !http) }
        rule.isInsecure = !http
        try change(&rule)
        let notes = notes
        var fetcher = RegistryFetcher(
            store: store,
            session: try FakeRegistry.session(http: http),
            credentials: credentials
        )
        fetcher.rules = RegistryRules([rule])
        fetcher.mirrorPace = pace
        fetcher.note = { note in notes.all.withLock { $0.append(note) } }
        return try fetcher.fetch(reference, options: FetchOptions(insecureImage: insecure))
    }

    /// A port where nobody listens.
    private static func nobody() throws -> String {
        let server = try TestServer { _, _ in Answer() }
        return server.host
    }

    @Test func theMirrorIsAskedFirstAndNotOnRecord() throws {
        let registry = FakeRegistry.answers(.small)
        let mirrored = FakeRegistry.answers(.small, repository: "hub/app")
        let origin = try TestServer { request, _ in registry(request) }
        let mirror = try TestServer { request, _ in mirrored(request) }
        let record = try fetch("\(origin.host)/app:1", mirrors: ["\(mirror.host)/hub"])
        #expect(origin.requests.isEmpty)
        #expect(!mirror.requests.isEmpty)
        let digest = ImageFixture.digest(ImageFixture.small.manifestBytes)
        #expect(record.names == ["\(origin.host)/app:1", "\(origin.host)/app@\(digest)"])
        #expect(!record.verification.isVerified)
        // A mirror's word on what a tag leads to is as little as the registry's.
        let refusal = #expect(throws: RktError.self) {
            try fetch("\(origin.host)/app:1", mirrors: ["\(mirror.host)/hub"], insecure: false)
        }
        #expect("\(try #require(refusal))".contains("docker://\(origin.host)/app@\(digest)"))
    }

    @Test func mirrorsAreAskedInTheirOrderAndThenTheRegistry() throws {
        let registry = FakeRegistry.answers(.small)
        let order = Mutex<[String]>([])
        func server(_ name: String, _ answer: @escaping @Sendable (TestServer.Request) -> Answer) throws -> TestServer {
            try TestServer { request, _ in
                order.withLock { if $0.last != name { $0.append(name) } }
                return answer(request)
            }
        }
        let missing = try server("missing") { _ in Answer(status: 404) }
        let broken = try server("broken") { _ in Answer(status: 503) }
        let closed = try server("closed") { _ in Answer(status: 403) }
        let origin = try server("origin", registry)
        let mirrors = [try Self.nobody(), missing.host, broken.host, closed.host]
        _ = try fetch("\(origin.host)/app:1", mirrors: mirrors)
        #expect(Array(order.withLock { $0 }.prefix(4)) == ["missing", "broken", "closed", "origin"])
        // One that does not answer is not asked again.
        #expect(broken.requests.count == 2)
        #expect(notes.all.withLock { $0 }.count { $0.contains(broken.host) } == 1)
    }

    @Test func aBlobThatAMirrorLacksComesFromTheRegistry() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let mirror = try TestServer { request, _ in request.path == layer ? Answer(status: 404) : registry(request) }
        let origin = try TestServer { request, _ in registry(request) }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host])
        #expect(origin.requests.map(\.path) == [layer])
    }

    /// A layer is handed on while it comes: that it was wrong shows at its end.
    @Test(arguments: [0, 1, 2, 3])
    func aBlobThatAMirrorHasWrongComesFromTheRegistry(kind: Int) throws {
        var image = FakeRegistry.large()
        image.layers[0].blob = try scratch.compressed(image.layers[0].tar, with: "gzip")
        image.layers[0].mediaType = OCI.MediaType.layer + "+gzip"
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let mirror = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            switch kind {
            case 0: answer.body[answer.body.count / 2] ^= 1
            case 1: answer.body += [0]
            case 2: answer.body = Array(answer.body.dropLast(9))
            default: answer.body = Array("<html>".utf8)
            }
            return answer
        }
        let origin = try TestServer { request, _ in registry(request) }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host])
        #expect(origin.requests.allSatisfy { $0.path == layer })
        #expect(!origin.requests.isEmpty)
        #expect(mirror.requests.count { $0.path == layer } == 1)
    }

    /// It would go on for hours: others have the same.
    @Test(.timeLimit(.minutes(10)))
    func aMirrorThatTricklesIsLeftAndWhatHasComeIsKept() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let mirror = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            answer.sent = 10
            answer.isTrickling = true
            return answer
        }
        let origin = try TestServer { request, _ in
            var answer = registry(request)
            guard let range = request.headers["range"], let first = Int(range.dropFirst(6).dropLast()) else {
                return Answer(status: 400)
            }
            answer.status = 206
            answer.headers = [("Content-Range", "bytes \(first)-\(answer.body.count - 1)/\(answer.body.count)")]
            answer.body = Array(answer.body.dropFirst(first))
            return answer
        }
        let pace = HTTPPace(bytesPerSecond: 4 << 10, seconds: 10, isFinal: true)
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host], pace: pace)
        #expect(mirror.requests.count { $0.path == layer } == 1)
        #expect(origin.requests.map(\.path) == [layer])
        #expect(notes.all.withLock { $0 }.count { $0.contains(mirror.host) } == 1)
        let limit = HTTPPace.ofMirrors
        #expect((limit.bytesPerSecond, limit.seconds, limit.isFinal) == (4096, 30, true))
    }

    /// Nobody else has it.
    @Test func theRegistryItselfMayTrickle() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let origin = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            answer.sent = answer.body.count - 300
            answer.isTrickling = true
            return answer
        }
        let pace = HTTPPace(bytesPerSecond: 4 << 10, seconds: 1, isFinal: true)
        _ = try fetch("\(origin.host)/app:1", mirrors: [], pace: pace)
        #expect(origin.requests.count == 3)
    }

    @Test func whereAMirrorBreaksOffTheRegistryGoesOn() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let mirror = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if request.headers["range"] != nil { return Answer(status: 503) }
            answer.sent = 100_000
            return answer
        }
        let origin = try TestServer { request, _ in
            var answer = registry(request)
            answer.status = 206
            answer.headers = [("Content-Range", "bytes 100000-\(answer.body.count - 1)/\(answer.body.count)")]
            answer.body = Array(answer.body.dropFirst(100_000))
            return answer
        }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host])
        #expect(origin.requests.map { $0.headers["range"] } == ["bytes=100000-"])
    }

    @Test func anotherManifestThanPinnedIsNotTaken() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let other = FakeRegistry.answers(FakeRegistry.large())
        let mirror = try TestServer { request, _ in
            request.path.contains("/manifests/")
                ? other(TestServer.Request(method: "GET", path: "/v2/app/manifests/1", headers: [:])) : other(request)
        }
        let origin = try TestServer { request, _ in registry(request) }
        let digest = ImageFixture.digest(image.manifestBytes)
        let record = try fetch("\(origin.host)/app@\(digest)", mirrors: [mirror.host], insecure: false)
        #expect(record.id == "sha256-\(digest.hex)")
        #expect(record.verification.isVerified)
    }

    /// Such as a page of somebody who wants a login first.
    @Test func whatIsNoManifestIsNotTaken() throws {
        let registry = FakeRegistry.answers(.small)
        let mirror = try TestServer { _, _ in Answer(body: Array("<html>Welcome</html>".utf8)) }
        let origin = try TestServer { request, _ in registry(request) }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host])
    }

    @Test func aMirrorForDigestsIsNotAskedForTags() throws {
        let registry = FakeRegistry.answers(.small)
        let mirror = try TestServer { request, _ in registry(request) }
        let origin = try TestServer { request, _ in registry(request) }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host]) { $0.mirrors[0].onlyByDigest = true }
        #expect(origin.requests.map(\.path) == ["/v2/app/manifests/1"])
        #expect(mirror.requests.allSatisfy { $0.path.contains("sha256:") })
        #expect(!mirror.requests.isEmpty)
    }

    @Test func theRegistrysErrorIsTheOneThatIsSaid() throws {
        let mirror = try TestServer { _, _ in Answer(status: 500) }
        let origin = try TestServer { _, _ in Answer(status: 404) }
        let error = #expect(throws: RktError.self) { try fetch("\(origin.host)/app:1", mirrors: [mirror.host]) }
        #expect(error?.code == .notFound)
        #expect("\(try #require(error))".contains(origin.host))
        #expect(try store.list() == [])
    }

    /// Whoever is on the way can make it seem that a registry has no TLS, and `--insecure-options=http` is no word on passwords.
    @Test(arguments: [true, false])
    func credentialsAreShownInClearWhereTheConfigurationSaysSo(isConfigured: Bool) throws {
        let registry = FakeRegistry.answers(.small)
        let origin = try TestServer { request, _ in
            // me:secret
            request.headers["authorization"] == "Basic bWU6c2VjcmV0"
                ? registry(request) : Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
        }
        // It leads here too, but nothing says so.
        let host = "0.0.0.0:\(origin.port)"
        let credentials = ListedCredentials([host: .password(user: "me", password: "secret")])
        if isConfigured {
            _ = try fetch("\(host)/app:1", mirrors: [], http: false, credentials: credentials)
        } else {
            let error = #expect(throws: RktError.self) {
                try fetch("\(host)/app:1", mirrors: [], credentials: credentials)
            }
            #expect(error?.code == .permissionDenied)
            #expect(!origin.requests.isEmpty)
            #expect(origin.requests.allSatisfy { $0.headers["authorization"] == nil })
        }
    }

    @Test func credentialsAreForTheirOwnHostAlone() throws {
        let registry = FakeRegistry.answers(.small)
        func server(_ word: String) throws -> TestServer {
            try TestServer { request, _ in
                request.headers["authorization"] == word
                    ? registry(request) : Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
            }
        }
        // mirror:m and origin:o
        let mirror = try server("Basic bWlycm9yOm0=")
        let origin = try server("Basic b3JpZ2luOm8=")
        let onlyOrigins = ListedCredentials([origin.host: .password(user: "origin", password: "o")])
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host], credentials: onlyOrigins)
        #expect(mirror.requests.allSatisfy { $0.headers["authorization"] == nil })
        let both = ListedCredentials([
            origin.host: .password(user: "origin", password: "o"),
            mirror.host: .password(user: "mirror", password: "m"),
        ])
        let before = origin.requests.count
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host], credentials: both)
        #expect(origin.requests.count == before)
        #expect(mirror.requests.contains { $0.headers["authorization"] == "Basic bWlycm9yOm0=" })
        #expect(!mirror.requests.contains { $0.headers["authorization"] == "Basic b3JpZ2luOm8=" })
    }

    @Test func plainHTTPIsForThoseAloneThatAreSaidToBeInsecure() throws {
        let registry = FakeRegistry.answers(.small)
        let mirror = try TestServer { request, _ in registry(request) }
        let origin = try TestServer { request, _ in registry(request) }
        _ = try fetch("\(origin.host)/app:1", mirrors: [mirror.host], http: false)
        #expect(origin.requests.isEmpty)
        let before = mirror.requests.count
        let error = #expect(throws: RktError.self) {
            try fetch("\(origin.host)/app:1", mirrors: [mirror.host], http: false) {
                $0.mirrors[0].isInsecure = false
                $0.isInsecure = false
            }
        }
        #expect("\(try #require(error))".contains("--insecure-options=http"))
        #expect(mirror.requests.count == before)
        #expect(origin.requests.isEmpty)
    }

    @Test func whatIsBlockedIsNotAskedFor() throws {
        let origin = try TestServer { _, _ in Answer() }
        let error = #expect(throws: RktError.self) {
            try fetch("\(origin.host)/app:1", mirrors: []) { $0.isBlocked = true }
        }
        #expect(error?.code == .permissionDenied)
        #expect(origin.requests.isEmpty)
    }

    @Test func anotherLocationIsAskedAndTheNameStays() throws {
        let moved = FakeRegistry.answers(.small, repository: "old/team/app")
        let server = try TestServer { request, _ in moved(request) }
        let record = try fetch("registry.example.com/team/app:1", mirrors: []) {
            $0.location = try RegistryPlace("\(server.host)/old")
        }
        #expect(record.names.contains("registry.example.com/team/app:1"))
    }
}

@Suite struct RegistryRulesTests {
    private func rules(_ pairs: (String, String)...) throws -> RegistryRules {
        RegistryRules(
            try pairs.map { prefix, mirror in
                var rule = RegistryRule(prefix: try RegistryPlace(prefix))
                rule.mirrors = [RegistryRule.Mirror(location: try RegistryPlace(mirror))]
                return rule
            }
        )
    }

    @Test(arguments: [
        ("redis", "m.com/hub/redis:latest"), ("docker.io/library/redis:7", "m.com/hub/redis:7"),
        ("docker.io/team/redis", "n.com/team/redis:latest"), ("example.com/a/b/c", "deep.com/renamed/b/c:latest"),
        ("example.com:443/a/b", "deep.com/renamed/b:latest"), ("example.com./a/b", "deep.com/renamed/b:latest"),
        ("Docker.io/library/redis", "m.com/hub/redis:latest"),
        ("example.com/a/bc", "wide.com/x/bc:latest"), ("EXAMPLE.com/a/b", "deep.com/renamed/b:latest"),
        ("example.com:5000/a/b", "example.com:5000/a/b:latest"), ("other.com/a", "other.com/a:latest"),
    ])
    func theLongestPrefixCounts(reference: String, first: String) throws {
        let rules = try rules(
            ("docker.io/library", "m.com/hub"),
            ("docker.io", "n.com"),
            ("example.com/a", "wide.com/x"),
            ("example.com", "never.com"),
            ("example.com/a/b", "deep.com/renamed/b")
        )
        let endpoints = try rules.endpoints(for: try DockerReference(reference))
        #expect(endpoints[0].reference.description == first)
        #expect(endpoints.last?.reference == (try DockerReference(reference)))
    }

    @Test func aDigestStays() throws {
        let digest = ImageFixture.digest([1])
        let endpoints = try rules(("example.com", "m.com:5000/x"))
            .endpoints(for: try DockerReference("example.com/app@\(digest)"))
        #expect(endpoints[0].reference.description == "m.com:5000/x/app@\(digest)")
    }

    @Test func aWholeRepositoryNeedsOneInItsStead() throws {
        let rules = try rules(("example.com/app", "m.com"))
        let error = #expect(throws: RktError.self) { try rules.endpoints(for: try DockerReference("example.com/app")) }
        #expect("\(try #require(error))".contains("m.com for example.com/app"))
    }

    @Test(arguments: [
        "", "name", "name/x", "https://example.com", "example.com/", "example.com//x", "example.com/x:1",
        "example.com/x@sha256:1", "example.com/../x", "example.com/X", "a b.com", "example.com:99999", "*.example.com",
    ])
    func whatIsNoPlaceIsRefused(text: String) {
        #expect(throws: RktError.self) { try RegistryPlace(text) }
    }

    @Test(arguments: ["", "https://example.com", "example.com/x", "a b", "example.com:x", "user@example.com"])
    func whatIsNoHostIsRefused(text: String) {
        #expect(throws: RktError.self) { try RegistryHost(text) }
    }
}
