import Diagnostics
import ImageFixtures
import Testing

@testable import ImageFetch

/// Whom a registry lets in, and who hears of a password.
@Suite struct RegistryAccessTests {
    let user: RegistryUser

    init() throws {
        user = try RegistryUser()
    }

    typealias Answer = TestServer.Answer
    typealias Request = TestServer.Request

    @Test func aTokenIsGotAndShown() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            if request.path.hasPrefix("/token?") {
                return Answer(body: Array(#"{"token":"the-token"}"#.utf8))
            }
            if request.headers["authorization"] == "Bearer the-token" { return registry(request) }
            return FakeRegistry.wantsToken(request)
        }
        _ = try user.fetch("\(server.host)/app:1", credentials: user.password(server.host))
        let asked = try #require(server.requests.first { $0.path.hasPrefix("/token") })
        #expect(asked.path == "/token?service=the%20service&scope=repository:app:pull")
        #expect(asked.headers["authorization"] == "Basic bWU6c2VjcmV0")
        // Once for all.
        #expect(server.requests.filter { $0.path.hasPrefix("/token") }.count == 1)
    }

    @Test func aPasswordIsShownWhereItIsAskedFor() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            if request.headers["authorization"] == "Basic bWU6c2VjcmV0" { return registry(request) }
            return Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
        }
        _ = try user.fetch("\(server.host)/app:1", credentials: user.password(server.host))
        let error = #expect(throws: RktError.self) { try user.fetch("\(server.host)/app:1") }
        #expect(error?.code == .permissionDenied)
    }

    @Test func credentialsStayWithTheRegistry() throws {
        let image = ImageFixture.small
        let registry = FakeRegistry.answers(image)
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
        _ = try user.fetch("\(server.host)/app:1", credentials: user.password(server.host))
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
            try user.fetch("\(server.host)/app:1", credentials: user.password(server.host))
        }
        #expect(realm.requests.count == 1)
        #expect(realm.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    @Test func whoeverARegistryLeadsToIsToldNothing() throws {
        let registry = FakeRegistry.answers(.small)
        let elsewhere = try TestServer { _, _ in
            Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")])
        }
        let target = "http://localhost:\(elsewhere.port)/blob"
        let server = try TestServer { request, _ in
            request.path.contains("/blobs/") ? Answer(status: 307, headers: [("Location", target)]) : registry(request)
        }
        let error = #expect(throws: RktError.self) {
            try user.fetch("\(server.host)/app:1", credentials: user.password(server.host))
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
            return FakeRegistry.wantsToken(request)
        }
        #expect(user.error("\(server.host)/app:1")?.code == .invalidData)
        #expect(server.requests.allSatisfy { $0.headers["authorization"] == nil && $0.headers["x-other"] == nil })
    }
}
