import Diagnostics
import Manifests
import Testing

@testable import ImageFetch

@Suite struct AppcDiscoveryTests {
    private let site: WebSite

    init() throws {
        site = try WebSite()
    }

    private func name(_ text: String) throws -> AppcImageName { try AppcImageName(text) }

    @Test func thePageOfTheNameCounts() throws {
        site.putPage("a.com/b/c", "a.com/b")
        let report = try site.discovery.archives(of: try name("a.com/b/c:1"))
        #expect(report.archives.map(\.archive) == ["http://\(site.server.host)/images/a.com/b/c-1.aci"])
        #expect(report.archives.map(\.signature) == ["http://\(site.server.host)/images/a.com/b/c-1.aci.asc"])
        #expect(report.attempts.isEmpty)
        #expect(site.paths == ["/a.com/b/c?ac-discovery=1"])
    }

    @Test func thenThoseOfItsParents() throws {
        site.put("/a.com/b?ac-discovery=1", Array("<title>no tags</title>".utf8))
        site.putPage("a.com", "a.com")
        let report = try site.discovery.archives(of: try name("a.com/b/c"))
        #expect(report.archives.count == 1)
        // Both times over https first, which nobody speaks here: the second address is what is allowed.
        #expect(Set(site.paths) == ["/a.com/b/c?ac-discovery=1", "/a.com/b?ac-discovery=1", "/a.com?ac-discovery=1"])
        #expect(report.attempts.contains { $0.problem == "status 404" })
        #expect(report.attempts.contains { $0.problem == "no meta tag 'ac-discovery' for a.com/b/c" })
    }

    @Test func whatNobodySaysIsWhereTheNameSays() throws {
        site.put("/a.com/b-1-linux-amd64.aci", [1])
        let report = try site.discovery.archives(of: try name("a.com/b:1,os=linux,arch=amd64"))
        #expect(report.archives.map(\.archive) == ["http://\(site.server.host)/a.com/b-1-linux-amd64.aci"])
        #expect(report.archives.first?.page == nil)
    }

    @Test func allThatWasAskedIsNamed() throws {
        let error = #expect(throws: RktError.self) { try site.discovery.archives(of: try name("a.com/b")) }
        #expect(error?.code == .notFound)
        let text = "\(try #require(error))"
        #expect(text.hasPrefix("discovery failed for \"a.com/b\": no endpoints discovered"))
        #expect(text.contains("/a.com/b?ac-discovery=1: status 404"))
    }

    @Test func keysAreFoundWhereverTheyAre() throws {
        site.putPage("a.com/b", "a.com")
        site.put(
            "/a.com?ac-discovery=1",
            Array("<meta name=ac-discovery-pubkeys content='a.com http://k/1'>".utf8)
        )
        #expect(try site.discovery.keyLocations(for: "a.com/b") == ["http://k/1"])
        let report = site.discovery.report(on: try name("a.com/b"))
        #expect(report.archives.count == 1)
        #expect(report.keys.map(\.location) == ["http://k/1"])
        #expect(throws: RktError.self) { try site.discovery.keyLocations(for: "b.com") }
    }

    @Test func aPageMayBeElsewhereButNotEverywhere() throws {
        let host = site.server.host
        site.put("/a.com?ac-discovery=1") { _ in
            .init(status: 302, headers: [("Location", "http://\(host)/b.com?ac-discovery=1")])
        }
        site.putPage("b.com", "a.com")
        #expect(try site.discovery.archives(of: try name("a.com")).archives.count == 1)
        site.put("/c.com?ac-discovery=1") { _ in
            .init(status: 302, headers: [("Location", "http://\(host)/c.com?ac-discovery=1")])
        }
        let error = #expect(throws: RktError.self) { try site.discovery.archives(of: try name("c.com")) }
        #expect("\(try #require(error))".contains("too many redirects"))
        site.put("/d.com?ac-discovery=1") { _ in .init(status: 302, headers: [("Location", "file:///etc/passwd")]) }
        #expect(throws: RktError.self) { try site.discovery.archives(of: try name("d.com")) }
    }

    @Test(.timeLimit(.minutes(10))) func anEndlessPageEnds() throws {
        site.put("/a.com?ac-discovery=1") { _ in .init(body: Array(repeating: 0x3C, count: 4096), isEndless: true) }
        let error = #expect(throws: RktError.self) { try site.discovery.archives(of: try name("a.com")) }
        #expect("\(try #require(error))".contains("larger than 1048576 bytes"))
    }

    @Test func withoutTheUsersWordNothingGoesOverPlainHTTP() throws {
        let site = try WebSite(http: false)
        site.putPage("a.com", "a.com")
        let error = #expect(throws: RktError.self) { try site.discovery.archives(of: try name("a.com")) }
        #expect("\(try #require(error))".contains("--insecure-options=http"))
        #expect(site.paths.isEmpty)
    }
}
