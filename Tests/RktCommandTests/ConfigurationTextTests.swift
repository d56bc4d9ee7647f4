internal import ImageFixtures
internal import LinuxOS
internal import Pods
internal import Testing
@testable internal import rkt_systemd

/// The output of `rkt config`.
@Suite struct ConfigurationTextTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func write(_ place: String, _ text: String) throws {
        let parts = place.split(separator: "/").map(String.init)
        try Directory.ensure(path: "\(scratch.path)/\(parts[0])/\(parts[1])").write(parts[2], Array(text.utf8))
    }

    private func text() throws -> String {
        let configuration = try EffectiveConfiguration(
            directories: ["system", "local"].map { "\(scratch.path)/\($0)" },
            data: "/var/lib/rkt",
            stage1Images: "/usr/lib/rkt/stage1-images"
        )
        return try JSONText.encode(configuration, .compact)
    }

    @Test func defaults() throws {
        #expect(
            try text() == #"{"stage0":[{"rktVersion":"v1","rktKind":"paths","data":"/var/lib/rkt","#
                + #""stage1-images":"/usr/lib/rkt/stage1-images"},"#
                + #"{"rktVersion":"v1","rktKind":"stage1","name":"units","version":"","location":""}]}"#
        )
    }

    @Test func everyKind() throws {
        let head = #""rktVersion":"v1","rktKind":"#
        try write(
            "system/auth.d/a.json",
            #"{\#(head)"auth","domains":["b.com","a.com"],"type":"basic","credentials":{"password":"p","user":"u"}}"#
        )
        try write(
            "local/auth.d/a.json",
            #"{\#(head)"auth","domains":["b.com"],"type":"aws","credentials":{"secretAccessKey":"s","accessKeyID":"k"}}"#
        )
        try write(
            "local/auth.d/b.json",
            #"{\#(head)"dockerAuth","registries":["a.com"],"credentials":{"user":"u","password":"p"}}"#
        )
        // Two names of the same registry, of which the later one counts.
        try write(
            "local/auth.d/c.json",
            #"{\#(head)"dockerAuth","registries":["docker.io","index.docker.io"],"#
                + #""credentials":{"user":"d","password":"p"}}"#
        )
        try write(
            "local/auth.d/d.json",
            #"{\#(head)"auth","domains":["C.com"],"type":"oauth","credentials":{"token":"t"}}"#
        )
        try write("local/paths.d/a.json", #"{\#(head)"paths","stage1-images":"/images"}"#)
        try write("local/stage1.d/a.json", #"{\#(head)"stage1","location":"/a.aci"}"#)
        try write(
            "local/registries.d/a.json",
            #"{\#(head)"registries","prefix":"a.com","mirrors":[{"location":"b.com/x"}]}"#
        )
        let expected = [
            #"{\#(head)"auth","domains":["a.com"],"type":"basic","credentials":{"user":"u","password":"p"}}"#,
            #"{\#(head)"auth","domains":["b.com"],"type":"aws","credentials":{"accessKeyID":"k","secretAccessKey":"s"}}"#,
            #"{\#(head)"auth","domains":["C.com"],"type":"oauth","credentials":{"token":"t"}}"#,
            #"{\#(head)"dockerAuth","registries":["a.com"],"credentials":{"user":"u","password":"p"}}"#,
            #"{\#(head)"dockerAuth","registries":["index.docker.io"],"credentials":{"user":"d","password":"p"}}"#,
            #"{\#(head)"registries","prefix":"a.com","mirrors":[{"location":"b.com/x","insecure":false,"#
                + #""pullFromDigestOnly":false,"tokenServers":[]}],"tokenServers":[],"insecure":false,"blocked":false}"#,
            #"{\#(head)"paths","data":"/var/lib/rkt","stage1-images":"/images"}"#,
            #"{\#(head)"stage1","name":"","version":"","location":"/a.aci"}"#,
        ]
        #expect(try text() == #"{"stage0":["# + expected.joined(separator: ",") + "]}")
    }
}
