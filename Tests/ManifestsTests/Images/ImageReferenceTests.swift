import Diagnostics
import Manifests
import Testing

@Suite struct ImageReferenceTests {
    private func reference(_ text: String, acceptsID: Bool = true) throws -> ImageReference {
        try ImageReference(text, acceptsID: acceptsID) { ["here", "/abs/here", "dir:with", "layout"].contains($0) }
    }

    @Test(arguments: [
        "here", "/abs/here", "layout", "dir:with",
    ])
    func whatExistsIsAFile(_ text: String) throws {
        #expect(try reference(text) == .file(path: text, reference: nil))
    }

    @Test(arguments: ["/not/there", "./x", "a/./x", "x.aci"])
    func whatLooksLikeAPathIsAFile(_ text: String) throws {
        #expect(try reference(text) == .file(path: text, reference: nil))
    }

    @Test(arguments: [
        ("layout#redis:7", "layout", "redis:7"), ("layout:v1", "layout", "v1"), ("file:///abs/here", "/abs/here", nil),
        ("file:here:tag", "here", "tag"), ("file:///not/there.aci", "/not/there.aci", nil),
        ("file:///a%20b.aci", "/a b.aci", nil),
    ])
    func aNameAfterAPathChooses(_ text: String, _ path: String, _ name: String?) throws {
        #expect(try reference(text) == .file(path: path, reference: name))
    }

    @Test(arguments: [
        ("redis", "redis"), ("example.com/app:1.0", "example.com/app:1.0"), ("redis:7", "redis:7"),
        ("example.com/app:1,os=linux", "example.com/app:1,os=linux"),
    ])
    func namesAreAppcNames(_ text: String, _ name: String) throws {
        #expect(try reference(text) == .appc(try AppcImageName(name)))
    }

    @Test func anIDIsOneOnlyWhereItIsAccepted() throws {
        #expect(try reference("sha512-ab12") == .id(try ImageIDPrefix("sha512-ab12")))
        guard case .appc = try reference("sha512-ab12", acceptsID: false) else {
            Issue.record("not a name")
            return
        }
    }

    @Test(arguments: [
        ("docker://redis", "registry-1.docker.io/library/redis:latest"),
        ("docker:redis:7", "registry-1.docker.io/library/redis:7"),
        ("docker://quay.io/a/b", "quay.io/a/b:latest"), ("docker://localhost:5000/x:y", "localhost:5000/x:y"),
        ("docker://docker.io/library/redis", "registry-1.docker.io/library/redis:latest"),
        ("docker://user/app", "registry-1.docker.io/user/app:latest"),
    ])
    func dockerReferencesAreCompleted(_ text: String, _ full: String) throws {
        guard case .docker(let docker) = try reference(text) else {
            Issue.record("not a Docker reference")
            return
        }
        #expect(docker.description == full)
    }

    @Test(arguments: ["https://example.com/app.aci", "http://example.com/a/b.aci?x=1"])
    func webAddressesOfArchivesAreURLs(_ text: String) throws {
        #expect(try reference(text) == .url(text))
    }

    @Test func internalReferencesAreUnderstood() throws {
        #expect(try reference("cimd:docker:v=0:redis") == .docker(try DockerReference("redis")))
        #expect(try reference("cimd:appc:v=0:a.b/c?version=1") == .appc(try AppcImageName("a.b/c:1")))
        #expect(try reference("cimd:aci-archive:v=0:https%3A%2F%2Fa.b%2Fc.aci") == .url("https://a.b/c.aci"))
    }

    @Test(arguments: [
        "", "https://example.com/app.tar", "https://app.aci", "file:///x.tar", "docker://", "docker://UPPER",
        "docker://a:b:c",
        "docker://x@sha256:12", "docker://a//b", "docker://-h:1/x", "docker://../x", "cimd:x:v=0:y",
        "cimd:docker:v=1:y",
        "Name", "a:b:c", "a,b", "a,x=1,x=2", "a:1,version=2", "name:", "a\u{0}b", "cimd:aci-archive:v=0:cimd:x:v=0:y",
    ])
    func otherTextIsRefused(_ text: String) {
        #expect(#expect(throws: RktError.self) { try reference(text) }?.code == .invalidArgument)
    }

    @Test func longIDsAreCutAndShortOnesRefused() throws {
        #expect(try ImageIDPrefix("sha512-" + String(repeating: "a", count: 128)).description.utf8.count == 7 + 64)
        #expect(throws: RktError.self) { try ImageIDPrefix("sha512-a") }
        #expect(throws: RktError.self) { try ImageIDPrefix("sha1-aaaa") }
        #expect(throws: RktError.self) { try ImageIDPrefix("sha256-../x") }
    }
}
