import Diagnostics
import FoundationEssentials
import ImageFixtures
import Manifests
import Testing

@testable import ImageFetch

/// Registries that do what no honest one does.
@Suite struct RegistryLieTests {
    let user: RegistryUser

    init() throws {
        user = try RegistryUser()
    }

    typealias Answer = TestServer.Answer
    typealias Request = TestServer.Request

    @Test func anotherManifestThanPinnedIsRefused() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            request.path.contains("/manifests/")
                ? registry(Request(method: "GET", path: "/v2/app/manifests/1", headers: [:])) : registry(request)
        }
        let other = ImageFixture.digest([1])
        #expect(user.error("\(server.host)/app@\(other)", insecure: false)?.code == .digestMismatch)
        #expect(!server.requests.contains { $0.path.contains("/blobs/") })
    }

    @Test(arguments: [0, 1, 20_000])
    func moreOrLessOrOtherThanPromisedIsRefused(extra: Int) throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if extra == 0 { answer.body[600] ^= 1 } else { answer.body += [UInt8](repeating: 0, count: extra) }
            return answer
        }
        #expect(user.error("\(server.host)/app:1")?.code == .digestMismatch)
    }

    @Test func aLayerThatIsCutOffIsRefused() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path == layer { answer.body = Array(answer.body.dropLast(512)) }
            return answer
        }
        #expect(user.error("\(server.host)/app:1")?.code == .digestMismatch)
    }

    @Test func aDocumentOfAnotherKindThanAnnouncedIsRefused() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path.contains("/manifests/") { answer.headers = [("Content-Type", OCI.MediaType.index)] }
            return answer
        }
        #expect(user.error("\(server.host)/app:1")?.code == .invalidData)
    }

    @Test func anEndlessManifestIsRefused() throws {
        let server = try TestServer { _, _ in Answer(body: [UInt8](repeating: 0x20, count: 5 << 20)) }
        #expect(user.error("\(server.host)/app:1")?.code == .limitExceeded)
    }

    @Test func redirectsInACircleEnd() throws {
        let server = try TestServer { request, _ in Answer(status: 302, headers: [("Location", request.path)]) }
        #expect(user.error("\(server.host)/app:1")?.code == .unavailable)
        #expect(server.requests.count < 30)
    }

    @Test(arguments: [
        "file:///etc/shadow", "gopher://HOST/x", "http://me:secret@HOST/x", "http://:secret@HOST/x", "http://[",
    ])
    func redirectsLeadOnlyToServers(target: String) throws {
        let elsewhere = try TestServer { _, _ in Answer() }
        let place = target.replacing("HOST", with: elsewhere.host)
        let server = try TestServer { _, _ in Answer(status: 302, headers: [("Location", place)]) }
        #expect(user.error("\(server.host)/app:1")?.code == .invalidData)
        #expect(elsewhere.requests.isEmpty)
    }

    @Test func plainHTTPIsUsedOnlyWhenAskedFor() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in registry(request) }
        let refusal = try #require(user.error("\(server.host)/app:1", http: false))
        #expect("\(refusal)".contains("--insecure-options=http"))
        #expect(server.requests.isEmpty)
    }

    @Test func whatARegistrySaysCannotMoveTheCursor() throws {
        let words = #"{"errors":[{"code":"X","message":"no \u001b[2Jsuch \u202eimage\n"}]}"#
        let server = try TestServer { _, _ in Answer(status: 404, body: Array(words.utf8)) }
        let problem = try #require(user.error("\(server.host)/app:1"))
        #expect(problem.code == .notFound)
        #expect("\(problem)".hasSuffix("no [2Jsuch image"))
    }
}
