import Diagnostics
import FoundationEssentials
import Manifests
import Testing

@Suite struct PodManifestTests {
    private static let id = "sha512-" + String(repeating: "0a", count: 32)
    private static let app = "{\"name\":\"a\",\"image\":{\"id\":\"\(id)\"}}"

    /// A manifest with some members changed or added.
    private func manifest(_ members: String) throws -> PodManifest {
        let head = members.contains("\"acKind\"") ? "" : "\"acKind\":\"PodManifest\","
        let version = members.contains("\"acVersion\"") ? "" : "\"acVersion\":\"0.8.11\","
        let apps = members.contains("\"apps\"") ? "" : "\"apps\":[\(Self.app)],"
        let text = "{\(head)\(version)\(apps)\(members.isEmpty ? "\"x\":0" : members)}"
        return try PodManifest.parse(Array(text.utf8), name: "the pod manifest")
    }

    @Test func everyMemberComesBack() throws {
        let manifest = try manifest(
            """
            "apps":[{"name":"a","image":{"name":"example.com/a","id":"\(Self.id)","labels":[{"name":"version","value":"1"}]},
            "app":{"exec":["/a"],"user":"0","group":"0"},"readOnlyRootFS":true,"annotations":[{"name":"x","value":"y"}],
            "mounts":[{"volume":"v","path":"/v"},{"volume":"w","path":"/w","appVolume":{"name":"w","kind":"empty"}}]}],
            "volumes":[{"name":"v","kind":"host","source":"/v","readOnly":true,"recursive":false},
            {"name":"e","kind":"empty","mode":"0700","uid":1,"gid":2}],
            "isolators":[{"name":"resource/memory","value":{"limit":"1G"}}],
            "ports":[{"name":"p","hostPort":80,"hostIP":"::1","podPort":{"name":"p","protocol":"tcp","port":8080}}],
            "annotations":[{"name":"coreos.com/rkt/stage1/mutable","value":"false"}],
            "userAnnotations":{"a":"b"},"userLabels":{"c":"d"}
            """
        )
        #expect(manifest.apps[0].mounts?.count == 2)
        #expect(manifest.volumes?[1].mode == "0700")
        #expect(manifest.ports?[0].podPort?.port == 8080)
        #expect(manifest.userLabels == ["c": "d"])
        let encoded = try JSONEncoder().encode(manifest)
        #expect(try PodManifest.parse(Array(encoded), name: "it") == manifest)
    }

    @Test func whatIsMadeHereIsValid() throws {
        let image = PodManifest.App.Image(name: "example.com/a", id: Self.id, labels: nil)
        let app = PodManifest.App(name: try ACName("a"), image: image, app: nil, readOnlyRootFS: nil, annotations: nil)
        let manifest = PodManifest(apps: [app])
        try manifest.validate()
        #expect(manifest.acVersion == "0.8.11")
        #expect(try PodManifest.parse(Array(JSONEncoder().encode(manifest)), name: "it") == manifest)
    }

    @Test(arguments: [
        ("\"acKind\":\"ImageManifest\"", "acKind is \"ImageManifest\", not \"PodManifest\""),
        ("\"acVersion\":\"1.0\"", "acVersion \"1.0\" is not a version (MAJOR.MINOR.PATCH)"),
        ("\"apps\":[\(app),\(app)]", "duplicate app name \"a\""),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\"},{\"name\":\"v\",\"kind\":\"empty\"}]",
            "duplicate volume name \"v\""
        ),
        ("\"volumes\":[{\"name\":\"v\",\"kind\":\"host\"}]", "volume \"v\": its source is no absolute path"),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":\"v\"}]",
            "volume \"v\": its source is no absolute path"
        ),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"host\",\"source\":\"/v\",\"mode\":\"0755\"}]",
            "volume \"v\": mode, uid and gid are for empty volumes"
        ),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"source\":\"/v\"}]",
            "volume \"v\": source and recursive are for host volumes"
        ),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"mode\":\"0789\"}]",
            "volume \"v\": its mode \"0789\" is not 1 to 4 octal digits"
        ),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\",\"uid\":4294967295}]",
            "volume \"v\": its uid or gid is no number of a user or group"
        ),
        ("\"ports\":[{\"name\":\"p\",\"hostPort\":0}]", "port \"p\": hostPort 0 is not within 1 to 65535"),
        (
            "\"ports\":[{\"name\":\"p\",\"hostPort\":1,\"hostIP\":\"host\"}]",
            "port \"p\": hostIP \"host\" is no IP address"
        ),
        (
            "\"ports\":[{\"name\":\"p\",\"hostPort\":65535,\"podPort\":"
                + "{\"name\":\"p\",\"protocol\":\"tcp\",\"port\":1,\"count\":2}}]",
            "port \"p\": podPort is not within 1 to 65535"
        ),
        (
            "\"annotations\":[{\"name\":\"a\",\"value\":\"\"},{\"name\":\"a\",\"value\":\"\"}]",
            "annotations names a twice"
        ),
        (
            "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"\(id)\"},\"mounts\":[{\"volume\":\"v\",\"path\":\"/v\"}]}]",
            "app \"a\": could not find volume \"v\""
        ),
        (
            "\"volumes\":[{\"name\":\"v\",\"kind\":\"empty\"}],"
                + "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"\(id)\"},\"mounts\":[{\"volume\":\"v\",\"path\":\"v\"}]}]",
            "app \"a\": the mount of volume \"v\" has \"v\", not an absolute path"
        ),
    ])
    func whatIsWrongIsNamed(members: String, message: String) throws {
        let error = try #require(throws: RktError.self) { try manifest(members) }
        #expect(error.code == .invalidData)
        #expect(error.description == "the pod manifest is not valid: \(message)")
    }

    @Test(arguments: [
        "\"apps\":[{\"name\":\"A\",\"image\":{\"id\":\"\(id)\"}}]", "\"apps\":[{\"name\":\"a\"}]",
        "\"volumes\":[{\"name\":\"v\",\"kind\":\"other\"}]", "\"volumes\":{}", "\"apps\":[],\"apps\":[]",
        "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"../x\"}}]",
        "\"apps\":[{\"name\":\"a\",\"image\":{\"id\":\"\(id)\"},\"app\":{\"exec\":[\"\"],\"user\":\"0\",\"group\":\"0\"}}]",
    ])
    func whatIsNoManifestIsRefused(members: String) {
        let error = #expect(throws: RktError.self) { try manifest(members) }
        #expect(error?.code == .invalidData)
    }

    @Test(arguments: [
        ("127.0.0.1", true), ("0.0.0.0", true), ("256.0.0.1", false), ("1.2.3", false), ("01.2.3.4", false),
        ("1.2.3.4.5", false), ("", false), ("::", true), ("::1", true), ("1::", true), ("fe80::1", true),
        ("1:2:3:4:5:6:7:8", true), ("1:2:3:4:5:6:7", false), ("1:2:3:4:5:6:7:8:9", false), ("1::2::3", false),
        (":::", false), (":1", false), ("1:", false), ("::ffff:1.2.3.4", true), ("::1.2.3.4:1", false),
        ("12345::", false), ("::g", false), ("fe80::1%eth0", false), ("1:2:3:4:5:6:7::", true),
        ("1:2:3:4:5:6:7:8::", false),
    ])
    func anAddressIsOneOrIsNot(text: String, isAddress: Bool) throws {
        let members = "\"ports\":[{\"name\":\"p\",\"hostPort\":1,\"hostIP\":\"\(text)\"}]"
        if isAddress {
            #expect(try manifest(members).ports?[0].hostIP == text)
        } else {
            #expect(throws: RktError.self) { try manifest(members) }
        }
    }
}
