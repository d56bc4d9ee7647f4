import Diagnostics
import ImageFetch
import ImageFixtures
import Testing

@Suite struct DockerCredentialsTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    // a:b, c:d, e:f:g
    private let file = #"""
        {"auths":{"https://example.com/v1/":{"auth":"YTpi"},"example.com/team/app":{"auth":"Yzpk"},
        "docker.io":{"auth":"ZTpmOmc="},"empty.com":{},"bad.com":{"auth":"!"}},"credsStore":"none"}
        """#

    private func find(_ host: String, _ repository: String?) throws -> Credential? {
        let path = try scratch.file("auth.json", Array(file.utf8))
        return try DockerCredentials(paths: ["/nowhere/auth.json", path]).credential(for: host, repository: repository)
    }

    @Test(arguments: [
        ("example.com", "other", "a", "b"), ("example.com", "team/app", "c", "d"),
        ("example.com", "team/app/more", "c", "d"), ("example.com", "team/apple", "a", "b"),
        ("registry-1.docker.io", "library/redis", "e", "f:g"),
    ])
    func theMostExactEntryCounts(host: String, repository: String, user: String, password: String) throws {
        #expect(try find(host, repository) == .password(user: user, password: password))
    }

    @Test(arguments: ["example.org", "ample.com", "empty.com", "example.com:5000"])
    func othersHaveNone(host: String) throws {
        #expect(try find(host, "team/app") == nil)
    }

    @Test func whatCannotBeReadIsNamed() throws {
        let error = #expect(throws: RktError.self) { try find("bad.com", nil) }
        #expect("\(try #require(error))".contains("auth.json, bad.com"))
    }

    @Test func theEnvironmentSaysWhere() throws {
        _ = try scratch.file("auth.json", Array(file.utf8))
        let source = DockerCredentials { $0 == "REGISTRY_AUTH_FILE" ? "\(scratch.path)/auth.json" : nil }
        #expect(try source.credential(for: "example.com", repository: nil) == .password(user: "a", password: "b"))
    }
}
