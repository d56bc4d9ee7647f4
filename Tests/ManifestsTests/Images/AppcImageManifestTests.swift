import Diagnostics
import Manifests
import Testing

@Suite struct AppcImageManifestTests {
    private func parse(
        _ members: String,
        app: String = #""exec":["/a"],"user":"0","group":"0""#
    ) throws -> AppcImageManifest {
        let text =
            #"{"acKind":"ImageManifest","acVersion":"0.8.11","name":"example.com/app","app":{\#(app)}\#(members)}"#
        return try AppcImageManifest.parse(Array(text.utf8), name: "x")
    }

    @Test func aFullManifestIsRead() throws {
        let manifest = try parse(
            #","labels":[{"name":"os","value":"linux"},{"name":"arch","value":"aarch64"}],"annotations":[{"name":"created","#
                + #""value":"2015-01-02T03:04:05.6+01:00"}],"dependencies":[{"imageName":"base","labels":[]}],"pathWhitelist":["/a"]"#,
            app:
                #""exec":["/a","b"],"user":"u","group":"g","supplementaryGIDs":[1,2],"workingDirectory":"/w","environment":"#
                + #"[{"name":"A.b-c","value":""}],"mountPoints":[{"name":"d","path":"/d","readOnly":true}],"ports":[{"name":"p","#
                + #""protocol":"tcp","port":80,"count":2}],"isolators":[{"name":"resource/memory","value":{"limit":"1G"}}],"#
                + #""eventHandlers":[{"name":"pre-start","exec":["/x"]}]"#
        )
        let config = ImageConfig(manifest)
        #expect(config.command == ["/a", "b"] && config.user == "u" && config.group == "g")
        #expect(config.supplementaryGroups == [1, 2] && config.workingDirectory == "/w")
        #expect(config.architecture == "arm64" && config.created == "2015-01-02T03:04:05.6+01:00")
        #expect(config.isolators == [AppcIsolator(name: "resource/memory", value: .object(["limit": .string("1G")]))])
    }

    @Test(arguments: [
        #","labels":[{"name":"os","value":"plan9"}]"#,
        #","labels":[{"name":"os","value":"linux"},{"name":"arch","value":"x"}]"#,
        #","labels":[{"name":"arch","value":"amd64"}]"#, #","labels":[{"name":"name","value":"x"}]"#,
        #","labels":[{"name":"a","value":"1"},{"name":"a","value":"2"}]"#, #","pathWhitelist":["a"]"#,
        #","annotations":[{"name":"created","value":"yesterday"}]"#,
        #","annotations":[{"name":"homepage","value":"ftp://x"}]"#,
        #","dependencies":[{"imageName":"Bad"}]"#, #","dependencies":[{"imageName":"b","size":-1}]"#,
        #","name":"twice""#,
    ])
    func badMembersAreRefused(_ members: String) {
        #expect(#expect(throws: RktError.self) { try parse(members) }?.code == .invalidData)
    }

    @Test(arguments: [
        #""exec":["/a"],"user":"0""#, #""exec":["/a"],"user":"","group":"0""#, #""exec":[""],"user":"0","group":"0""#,
        #""exec":["/a"],"user":"0","group":"0","workingDirectory":"w""#,
        #""exec":["/a"],"user":"0","group":"0","environment":[{"name":"1A","value":""}]"#,
        #""exec":["/a"],"user":"0","group":"0","environment":[{"name":"A","value":""},{"name":"A","value":""}]"#,
        #""exec":["/a"],"user":"0","group":"0","ports":[{"name":"p","protocol":"tcp","port":0}]"#,
        #""exec":["/a"],"user":"0","group":"0","ports":[{"name":"p","protocol":"x","port":1}]"#,
        #""exec":["/a"],"user":"0","group":"0","mountPoints":[{"name":"p","path":"x"}]"#,
        #""exec":["/a"],"user":"0","group":"0","eventHandlers":[{"name":"x","exec":["/x"]}]"#,
        #""exec":["/a\u0000"],"user":"0","group":"0""#,
    ])
    func badAppsAreRefused(_ app: String) {
        #expect(#expect(throws: RktError.self) { try parse("", app: app) }?.code == .invalidData)
    }

    @Test(arguments: ["0.8", "0.8.x", "", "1.2.3.4", "v1.2.3", "1.2.3-"])
    func badVersionsAreRefused(_ version: String) {
        let text = #"{"acKind":"ImageManifest","acVersion":"\#(version)","name":"a"}"#
        #expect(throws: RktError.self) { try AppcImageManifest.parse(Array(text.utf8), name: "x") }
    }
}
