import Diagnostics
import ImageFetch
import ImageFixtures
import LinuxOS
import Testing

@testable import Pods

/// What stands in configuration files of kinds `paths` and `registries`, and what all of them come to.
@Suite struct ConfigurationTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private var directories: [String] { ["system", "local", "missing"].map { "\(scratch.path)/\($0)" } }

    /// Writes `DIRECTORY/KIND.d/NAME.json`.
    private func write(_ directory: String, _ kind: String, _ name: String, _ fields: String) throws {
        let subdirectory = kind.hasSuffix("uth") ? "auth" : kind
        let place = try Directory.ensure(path: "\(scratch.path)/\(directory)/\(subdirectory).d")
        try place.write("\(name).json", Array(#"{"rktKind":"\#(kind)","rktVersion":"v1",\#(fields)}"#.utf8))
    }

    // MARK: paths

    @Test func laterDirectoriesOverridePathsFieldByField() throws {
        #expect(try PathSettings(directories: directories).data == nil)
        try write("system", "paths", "a", #""data":"/srv/a""#)
        try write("system", "paths", "b", #""stage1-images":"/srv/b""#)
        try write("local", "paths", "a", #""data":"/srv/c","stage1-images":"""#)
        let settings = try PathSettings(directories: directories)
        #expect(settings.data == "/srv/c")
        #expect(settings.stage1Images == "/srv/b")
    }

    @Test(arguments: [
        #""data":"relative""#, #""stage1-images":"./x""#, #""other":1"#, #""data":"""#, #""data":1"#,
        #""data":"/a\u0000""#,
    ])
    func wrongPathsAreNamed(fields: String) throws {
        try write("local", "paths", "wrong", fields)
        let error = #expect(throws: RktError.self) { try PathSettings(directories: directories) }
        #expect("\(try #require(error))".contains("local/paths.d/wrong.json"))
    }

    @Test func oneFieldTwiceInADirectoryIsRefused() throws {
        try write("local", "paths", "a", #""data":"/srv/a""#)
        try write("local", "paths", "b", #""data":"/srv/a""#)
        let error = #expect(throws: RktError.self) { try PathSettings(directories: directories) }
        #expect("\(try #require(error))".contains("paths.d/b.json: another file of the same directory gives data too"))
    }

    // MARK: registries

    @Test func registriesAreOverriddenPrefixByPrefix() throws {
        try write("system", "registries", "a", #""prefix":"docker.io","mirrors":[{"location":"a.com"}]"#)
        try write("system", "registries", "b", #""prefix":"example.com","blocked":true"#)
        try write(
            "local",
            "registries",
            "a",
            #""prefix":"registry-1.docker.io","mirrors":[{"location":"b.com:5000/hub","insecure":true,"#
                + #""pullFromDigestOnly":true,"tokenServers":["auth.b.com:8443"]}],"tokenServers":["c.com"]"#
        )
        let rules = try RegistrySettings(directories: directories).rules
        #expect(rules.map { "\($0.prefix)" } == ["example.com", "registry-1.docker.io"])
        #expect(rules.map(\.isBlocked) == [true, false])
        let mirror = try #require(rules[1].mirrors.first)
        #expect("\(mirror.location) \(mirror.tokenServers)" == "b.com:5000/hub [auth.b.com:8443]")
        #expect(mirror.isInsecure && mirror.onlyByDigest && !rules[1].isInsecure)
        #expect(rules[1].tokenServers.map { "\($0)" } == ["c.com"])
    }

    @Test(arguments: [
        #""mirrors":[]"#, #""prefix":"name""#, #""prefix":"a.com","location":"https://b.com""#,
        #""prefix":"a.com","mirrors":[{"location":""}]"#, #""prefix":"a.com","mirrors":[{}]"#,
        #""prefix":"a.com","tokenServers":["https://b.com/token"]"#, #""prefix":"a.com","blocked":"yes""#,
        #""prefix":"a.com","mirrors":"b.com""#,
    ])
    func wrongRegistriesAreNamed(fields: String) throws {
        try write("local", "registries", "wrong", fields)
        let error = #expect(throws: RktError.self) { try RegistrySettings(directories: directories) }
        #expect("\(try #require(error))".contains("local/registries.d/wrong.json"))
    }

    @Test func onePrefixTwiceInADirectoryIsRefused() throws {
        try write("local", "registries", "a", #""prefix":"docker.io""#)
        try write("local", "registries", "b", #""prefix":"index.docker.io""#)
        let error = #expect(throws: RktError.self) { try RegistrySettings(directories: directories) }
        #expect("\(try #require(error))".contains("registries.d/b.json: another file"))
    }

    // MARK: all of it

    private func effective() throws -> EffectiveConfiguration {
        try EffectiveConfiguration(directories: directories, data: "/data", stage1Images: "/own")
    }

    @Test(arguments: [
        ("auth", #""domains":["a.com"],"type":"digest","credentials":{"user":"u"}"#),
        ("auth", #""domains":["a.com"],"type":"basic","credentials":{"user":"u"}"#),
        ("auth", #""domains":["a.com"],"type":"basic","credentials":{"user":"u:v","password":"p"}"#),
        ("auth", #""domains":[],"type":"oauth","credentials":{"token":"t"}"#),
        ("auth", #""domains":["a.com"],"type":"oauth","credentials":{"token":1}"#),
        ("auth", #""domains":["a.com"],"type":"aws","credentials":{"accessKeyID":"a","secretAccessKey":""}"#),
        ("dockerAuth", #""registries":[""],"credentials":{"user":"u","password":"p"}"#),
    ])
    func wrongCredentialsAreNamed(kind: String, fields: String) throws {
        try write("local", kind, "wrong", fields)
        let error = #expect(throws: RktError.self) { try effective() }
        #expect("\(try #require(error))".contains("local/auth.d/wrong.json"))
    }

    @Test func oneDomainTwiceInADirectoryIsRefused() throws {
        let fields = #""domains":["a.com"],"type":"oauth","credentials":{"token":"t"}"#
        try write("local", "auth", "a", fields)
        try write("system", "auth", "a", fields)
        _ = try effective()
        try write("local", "auth", "b", fields)
        #expect(throws: RktError.self) { try effective() }
    }
}
