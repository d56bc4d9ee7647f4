import Diagnostics
import LinuxOS
import Manifests
@testable import Pods
import TestSupport
import Testing

@Suite struct LastingLinksTests {
    private let temporary: TemporaryData
    private let links: LastingLinks

    init() throws {
        temporary = try TemporaryData()
        links = temporary.data.links
    }

    /// Where a pod's link leads.
    private func target(_ uuid: PodUUID) throws -> String? {
        try Directory(path: "\(links.home)/\(LastingLinks.name)").readLink(uuid.description)
    }

    private func linked(_ phase: PodPhase = .prepared, durable: Bool = false) throws -> PodUUID {
        let pod = try temporary.makePod(try uuid(), in: phase)
        try links.make(pod.uuid, to: temporary.data, durable: durable)
        return pod.uuid
    }

    private func all() throws -> [String] { try Directory(path: "\(links.home)/\(LastingLinks.name)").names() }

    @Test(arguments: [true, false])
    func wordIsLeftOfAPod(durable: Bool) throws {
        #expect(try target(try linked(durable: durable)) == temporary.data.path)
    }

    @Test func podsOfTheDefaultDirectoryNeedNone() throws {
        let data = DataDirectory(path: links.home, links: links)
        try links.make(try uuid(), to: data, durable: true)
        // Nor when it is written in another way.
        _ = try Directory.ensure(path: links.home)
        try links.make(try uuid(), to: DataDirectory(path: "\(links.home)/", links: links), durable: true)
        #expect(!(try Directory(path: links.home).contains(LastingLinks.name)))
    }

    @Test func aLinkThatIsThereIsReplaced() throws {
        let uuid = try linked()
        try links.make(uuid, to: DataDirectory(path: "/elsewhere", links: links), durable: true)
        #expect(try target(uuid) == "/elsewhere")
    }

    // MARK: The end of a link

    @Test func aLinkGoesWithItsPod() throws {
        let uuid = try linked()
        try links.remove(uuid, to: DataDirectory(path: "\(temporary.data.path)/", links: links))
        #expect(try all() == [])
        try links.remove(uuid, to: temporary.data)
    }

    @Test func aLinkStaysWithThePodThatItLeadsTo() throws {
        let uuid = try linked()
        let copy = try Directory.ensure(path: temporary.directory.path(of: "copy"))
        try links.remove(uuid, to: DataDirectory(path: copy.path, links: links))
        #expect(try all() == [uuid.description])
    }

    @Test(arguments: PodPhase.allCases)
    func aLinkIsKeptAsLongAsItsPodIsAnywhere(phase: PodPhase) throws {
        let uuid = try linked(phase)
        try links.collect()
        #expect(try all() == [uuid.description])
        try #require(try temporary.data.phase(phase)).removeTree(uuid.description)
        try links.collect()
        #expect(try all() == [])
    }

    @Test func aLinkToADiskThatIsNotMountedStays() throws {
        let uuid = try linked()
        let parent = try temporary.directory.open()
        try parent.rename("data", to: "unmounted")
        try links.collect()
        try parent.makeDirectory("data")
        try links.collect()
        #expect(try all() == [uuid.description])
    }

    @Test func withoutLinksThereIsNothingToCollect() throws {
        try links.collect()
        _ = try Directory.ensure(path: links.home)
        try links.collect()
    }
}
