import Diagnostics
import ImageFixtures
import ImageStore
import Manifests
import Testing

@testable import ImageFetch

/// Tokens that are shown for others, and to whom.
@Suite struct RegistryTokenTests {
    let user: RegistryUser

    init() throws {
        user = try RegistryUser()
    }

    typealias Answer = TestServer.Answer

    private func fetch(_ server: TestServer, _ credential: Credential, tokenServers: [String] = []) throws {
        var rule = RegistryRule(prefix: try RegistryPlace(server.host))
        rule.tokenServers = try tokenServers.map { try RegistryHost($0) }
        try user.fetch(
            "\(server.host)/app:1",
            credentials: ListedCredentials([server.host: credential]),
            rules: [rule]
        )
    }

    @Test func anIdentityTokenIsPosted() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            if request.path == "/token", request.method == "POST" {
                return Answer(body: Array(#"{"access_token":"the-token","refresh_token":"other"}"#.utf8))
            }
            return request.headers["authorization"] == "Bearer the-token"
                ? registry(request) : FakeRegistry.wantsToken(request)
        }
        try fetch(server, .identityToken("a+b&c=é"))
        let asked = server.requests.filter { $0.path.hasPrefix("/token") }
        #expect(
            asked.map(\.body) == [
                "grant_type=refresh_token&client_id=rkt&refresh_token=a%2Bb%26c%3D%C3%A9&service=the%20service"
                    + "&scope=repository:app:pull"
            ]
        )
        #expect(asked.first?.headers["content-type"] == "application/x-www-form-urlencoded")
        #expect(server.requests.allSatisfy { !($0.headers["authorization"] ?? "").contains("a+b") })
        #expect(server.requests.allSatisfy { $0.method == "GET" || $0.path == "/token" })
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func anIdentityTokenFollowsNobody(status: Int) throws {
        let elsewhere = try TestServer { _, _ in Answer(body: Array(#"{"token":"t"}"#.utf8)) }
        let target = "http://localhost:\(elsewhere.port)/token"
        let server = try TestServer { request, _ in
            request.path == "/token"
                ? Answer(status: status, headers: [("Location", target)]) : FakeRegistry.wantsToken(request)
        }
        let error = #expect(throws: RktError.self) { try fetch(server, .identityToken("refresh")) }
        #expect(error?.code == .permissionDenied)
        #expect(elsewhere.requests.isEmpty)
    }

    /// Not even as a password, and not to one that asks for a password.
    @Test func anIdentityTokenIsNotShownElsewhere() throws {
        let realm = try TestServer { _, _ in Answer(body: Array(#"{"token":"t"}"#.utf8)) }
        let place = "http://localhost:\(realm.port)/token"
        let server = try TestServer { request, _ in FakeRegistry.wantsToken(request, realm: place) }
        #expect(throws: RktError.self) { try fetch(server, .identityToken("refresh")) }
        let basic = try TestServer { _, _ in Answer(status: 401, headers: [("WWW-Authenticate", "Basic realm=x")]) }
        #expect(throws: RktError.self) { try fetch(basic, .identityToken("refresh")) }
        let all = realm.requests + server.requests + basic.requests
        #expect(!realm.requests.isEmpty)
        #expect(all.allSatisfy { !($0.body + $0.path + $0.headers.description).contains("refresh") })
    }

    @Test func aRegistryTokenIsShownToTheRegistry() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, _ in
            request.headers["authorization"] == "Bearer own" ? registry(request) : FakeRegistry.wantsToken(request)
        }
        try fetch(server, .registryToken("own"))
        #expect(!server.requests.contains { $0.path.hasPrefix("/token") })
        let error = #expect(throws: RktError.self) { try fetch(server, .registryToken("a\r\nX-Other: b")) }
        #expect(error?.code == .invalidData)
    }

    @Test(arguments: [true, false]) func aTokenServerMayBeConfigured(isPort: Bool) throws {
        let registry = FakeRegistry.answers(.small)
        let realm = try TestServer { request, _ in
            let isKnown = request.headers["authorization"] == "Basic bWU6c2VjcmV0" || request.body.contains("=refresh&")
            return isKnown ? Answer(body: Array(#"{"token":"t"}"#.utf8)) : Answer(status: 401)
        }
        let place = "http://localhost:\(realm.port)/token"
        let server = try TestServer { request, _ in
            request.headers["authorization"] == "Bearer t"
                ? registry(request) : FakeRegistry.wantsToken(request, realm: place)
        }
        // A host without a port is that with the scheme's own.
        let name = isPort ? "localhost:\(realm.port)" : "localhost"
        for credential in [Credential.password(user: "me", password: "secret"), .identityToken("refresh")] {
            guard isPort else {
                let error = #expect(throws: RktError.self) { try fetch(server, credential, tokenServers: [name]) }
                #expect("\(try #require(error))".contains("tokenServers"))
                continue
            }
            try fetch(server, credential, tokenServers: [name])
        }
        #expect(isPort || realm.requests.allSatisfy { $0.headers["authorization"] == nil && $0.body.isEmpty })
    }

    @Test func whoKeepsCredentialsIsAskedOnce() throws {
        let server = try TestServer { request, _ in FakeRegistry.wantsToken(request) }
        let credentials = ListedCredentials([:])
        let client = RegistryClient(
            try DockerReference("\(server.host)/app:1"),
            session: try FakeRegistry.session(),
            credentials: credentials
        )
        for _ in 0..<2 {
            #expect(throws: RktError.self) { try client.manifest("1", limit: 1000, name: "x") }
        }
        #expect(credentials.hosts == [server.host])
    }
}
