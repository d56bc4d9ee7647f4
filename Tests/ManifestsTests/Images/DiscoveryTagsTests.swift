import Manifests
import Testing

@Suite struct DiscoveryTagsTests {
    private func tags(_ contents: (String, String)...) -> DiscoveryTags {
        let page = contents.map { "<meta name=\"\($0.0)\" content=\"\($0.1)\">" }.joined()
        return DiscoveryTags(page: Array("<head>\(page)</head>".utf8))
    }

    private func archives(_ name: String, _ content: String, http: Bool = false) throws -> [String] {
        tags(("ac-discovery", content)).endpoints(for: try AppcImageName(name), allowsHTTP: http).map(\.archive)
    }

    @Test(
        arguments: [
            (
                "a.com/b:1,os=linux,arch=amd64", "a.com https://s/{os}/{arch}/{name}-{version}.{ext}",
                "https://s/linux/amd64/a.com/b-1.aci"
            ),
            ("a.com/b", "a.com/b https://s/{name}-{version}.{ext}", "https://s/a.com/b-latest.aci"),
            ("a.com/b,channel=x", "a.com/ https://s/{channel}.{ext}", "https://s/x.aci"),
            ("a.com/b:1", "a.com HTTPS://s/x.{ext}", "HTTPS://s/x.aci"),
            // What is filled in is not read as a template, and leads nowhere else.
            ("a.com/b:{ext}", "a.com https://s/{version}.{ext}", "https://s/%7Bext%7D.aci"),
            ("a.com/b:../@evil?#%2541", "a.com https://s.{version}.{ext}", "https://s...%2F%40evil%3F%23%2541.aci"),
        ]
    )
    func templatesAreFilledIn(name: String, content: String, url: String) throws {
        let found = try archives(name, content)
        #expect(found == [url])
    }

    @Test(
        arguments: [
            // Another name, whole components.
            ("a.com/foo", "a.com/fo https://s/{name}.{ext}"), ("a.com/b", "b.com https://s/{name}.{ext}"),
            ("a.com", "a.com/b https://s/{name}.{ext}"), ("a.com/b", "/ https://s/{name}.{ext}"),
            // Something is left, or missing.
            ("a.com/b", "a.com https://s/{os}.{ext}"), ("a.com/b", "a.com https://s/{.{ext}"),
            ("a.com/b", "a.com https://s/}.{ext}"),
            ("a.com/b", "a.com https://s/{name}.aci"), ("a.com/b", "a.com"), ("a.com/b", "a.com https://s/{ext} more"),
            // Elsewhere than on a server.
            ("a.com/b", "a.com file:///etc/{ext}"), ("a.com/b", "a.com hdfs://s/{ext}"), ("a.com/b", "a.com //s/{ext}"),
            ("a.com/b", "a.com {name}/{ext}"), ("a.com/b", "a.com http://s/{ext}"),
        ]
    )
    func othersAreDropped(name: String, content: String) throws {
        #expect(try archives(name, content) == [])
    }

    @Test func plainHTTPIsForThoseWhoAllowIt() throws {
        #expect(try archives("a.com/b", "a.com http://s/{ext}", http: true) == ["http://s/aci"])
        #expect(try archives("a.com/b", "a.com file://s/{ext}", http: true) == [])
    }

    @Test func signaturesAreBesideAndTheOrderIsThePages() throws {
        let tags = tags(
            ("ac-discovery", "a.com https://1/{name}.{ext}"),
            ("ac-discovery", "a.com https://2/{name}.{ext}")
        )
        let found = tags.endpoints(for: try AppcImageName("a.com/b"), allowsHTTP: false)
        #expect(found.map(\.archive) == ["https://1/a.com/b.aci", "https://2/a.com/b.aci"])
        #expect(found.map(\.signature) == ["https://1/a.com/b.aci.asc", "https://2/a.com/b.aci.asc"])
    }

    @Test func keysAreNoTemplates() throws {
        let tags = tags(
            ("ac-discovery-pubkeys", "a.com https://k/{name}"),
            ("ac-discovery-pubkeys", "a.com/b https://k/1"),
            ("ac-discovery-pubkeys", "a.com https://k/1"),
            ("ac-discovery-pubkeys", "a.com http://k/2"),
            ("ac-discovery-pubkeys", "a.com/bb https://k/3"),
            ("ac-discovery-pubkeys", "a.com file:///k")
        )
        #expect(
            tags.keyLocations(for: try ACIdentifier("a.com/b"), allowsHTTP: false) == [
                "https://k/{name}", "https://k/1",
            ]
        )
        #expect(tags.keyLocations(for: try ACIdentifier("a.com/b"), allowsHTTP: true).last == "http://k/2")
    }
}
