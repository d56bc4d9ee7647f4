import Diagnostics
import Glibc
import LinuxOS
import TestSupport
import Testing

@Suite struct DirectoryTests {
    private let temporary: TemporaryDirectory
    /// What may be reached.
    private let inside: Directory
    /// What may not: it lies around `inside`.
    private let outside: Directory

    init() throws {
        temporary = try TemporaryDirectory()
        outside = try temporary.open()
        inside = try outside.ensureDirectory("inside")
        try outside.write("secret", "outside")
    }

    private func code<R>(_ body: () throws -> R) throws -> RktError.Code {
        try #require(throws: RktError.self) { _ = try body() }.code
    }

    // MARK: Confinement

    private static let escapes = [
        "../secret", "../../../../secret", "x/../../secret", "/../secret", "/secret", "secret",
    ]

    @Test(arguments: escapes)
    func aNameDoesNotLeadOut(name: String) throws {
        try inside.makeDirectory("x")
        #expect(try code { try inside.open(name).rawValue } == .notFound)
        #expect(try code { try inside.read(name) } == .notFound)
        #expect(try code { try inside.status(of: name) } == .notFound)
        #expect(!inside.contains(name))
    }

    @Test(arguments: escapes)
    func aLinkDoesNotLeadOut(target: String) throws {
        try inside.makeDirectory("x")
        try inside.makeLink("link", to: target)
        // A link to itself is no way either.
        #expect([.notFound, .invalidArgument].contains(try code { try inside.read("link") }))
        try inside.remove("link")
        try inside.makeLink("secret", to: "\(temporary.path)/secret")
        #expect(try code { try inside.read("secret") } == .notFound)
    }

    @Test func aLinkOnTheWayDoesNotLeadOut() throws {
        try inside.makeLink("up", to: "..")
        try inside.makeLink("top", to: temporary.path)
        for name in ["up/secret", "top/secret", "up/up/secret"] {
            #expect(try code { try inside.read(name) } == .notFound)
        }
        #expect(try inside.directory("up").names() == ["top", "up"])
        #expect(try code { try inside.directory("top") } == .notFound)
    }

    @Test(arguments: escapes)
    func whatIsMadeIsMadeInside(name: String) throws {
        _ = try? inside.writeInPlace(name, "forged")
        #expect(try outside.readText("secret") == "outside")
    }

    @Test func aLinkIsFollowedAsIfTheDirectoryWereTheRoot() throws {
        try inside.ensureDirectory("etc").write("file", "in here")
        try inside.ensureDirectory("links").makeLink("absolute", to: "/etc/file")
        try inside.directory("links").makeLink("unused", to: "nothing")
        #expect(try inside.readText("links/absolute") == "in here")
        #expect(try inside.readText("/etc/file") == "in here")
        #expect(try inside.readText("../../etc/file") == "in here")
        // Below another directory the same link leads to another place.
        #expect(try code { try inside.directory("links").read("absolute") } == .notFound)
    }

    @Test func magicLinksAreNotFollowed() throws {
        let processes = try Directory(path: "/proc")
        let own = "\(getpid())"
        for name in ["exe", "cwd", "root", "fd/0"] {
            #expect(try code { try processes.open("\(own)/\(name)").rawValue } == .invalidArgument)
        }
        #expect(try processes.status(of: "\(own)/exe").kind == .link)
    }

    @Test func linksInACircleEnd() throws {
        try inside.makeLink("a", to: "b")
        try inside.makeLink("b", to: "a")
        #expect(try code { try inside.read("a") } == .invalidArgument)
        #expect(try inside.status(of: "a").kind == .link)
        #expect(inside.contains("a"))
        #expect(inside.readLink("a") == "b")
        #expect(inside.readLink("nothing") == nil)
    }

    // MARK: Reading

    @Test(.timeLimit(.minutes(10)))
    func onlyRegularFilesAreRead() throws {
        try inside.makeDirectory("directory")
        // Opened for reading, it would wait for a writer.
        try inside.makePipe("pipe", mode: 0o600)
        for name in ["directory", "pipe"] { #expect(try code { try inside.read(name) } == .invalidData) }
        #expect(try inside.status(of: "pipe").kind == .special)
    }

    @Test func aLimitIsALimit() throws {
        try inside.write("file", "12345")
        #expect(try inside.readText("file", limit: 5) == "12345")
        #expect(try code { try inside.read("file", limit: 4) } == .limitExceeded)
        // Such a file says of itself that it is empty.
        #expect(try code { try Directory(path: "/proc/self").read("maps", limit: 10) } == .limitExceeded)
    }

    @Test func namesAreSortedAndTheDirectorysOwnAreNotAmongThem() throws {
        for name in ["b", ".hidden", "a", "..x"] { try inside.write(name, "") }
        #expect(try inside.names() == ["..x", ".hidden", "a", "b"])
        // Twice: reading leaves nothing behind in the descriptor.
        #expect(try inside.names().count == 4)
    }

    // MARK: Writing

    @Test(arguments: [true, false])
    func aFileIsReplacedWhole(durable: Bool) throws {
        try inside.write("file", "a longer text than the next", mode: 0o600)
        let reader = try inside.open("file")
        try inside.write("file", "next", mode: 0o640, durable: durable)
        #expect(try inside.readText("file") == "next")
        #expect(try inside.status(of: "file").mode == 0o640)
        #expect(try reader.readAll(limit: 100, name: "file") == Array("a longer text than the next".utf8))
        #expect(try inside.names() == ["file"])
    }

    @Test func aLinkIsReplacedAndNotWrittenThrough() throws {
        try inside.write("target", "old")
        try inside.makeLink("file", to: "target")
        try inside.write("file", "new")
        #expect(try inside.readText("target") == "old")
        #expect(try inside.status(of: "file").kind == .regular)
    }

    @Test func aWriteThatFailsLeavesNothingAndTheOlderFile() throws {
        try inside.makeDirectory("file")
        try inside.directory("file").write("content", "old")
        #expect(throws: RktError.self) { try inside.write("file", "new") }
        #expect(try inside.names() == ["file"])
        #expect(try inside.readText("file/content") == "old")
        #expect(throws: RktError.self) { try inside.write("no/such", "new") }
        #expect(try inside.names() == ["file"])
    }

    @Test func writersAtOnceLeaveOneWholeFile() async throws {
        let texts = (0..<8).map { String(repeating: "\($0)", count: 20_000) }
        let inside = inside
        try await withThrowingTaskGroup(of: Void.self) { group in
            for text in texts { group.addTask { for _ in 0..<20 { try inside.write("file", text) } } }
            try await group.waitForAll()
        }
        #expect(texts.contains(try inside.readText("file")))
        #expect(try inside.names() == ["file"])
    }

    @Test func aNameIsTakenOnlyOnce() throws {
        try inside.write("a", "a")
        try inside.write("b", "b")
        #expect(try code { try inside.renameExclusively("a", to: "b") } == .alreadyExists)
        #expect(try code { try inside.makeDirectory("a") } == .alreadyExists)
        #expect(try code { try inside.makeLink("a", to: "b") } == .alreadyExists)
        #expect(try code { try inside.makePipe("a", mode: 0o600) } == .alreadyExists)
        try inside.rename("a", to: "b")
        #expect(try inside.readText("b") == "a")
        try inside.renameExclusively("b", to: "c", in: outside)
        #expect(try outside.readText("c") == "a")
        #expect(try inside.names() == [])
    }

    // MARK: Making and removing

    @Test func aPathIsMadeWithItsParents() throws {
        let path = "\(inside.path)/a/b/c"
        #expect(try Directory.ensure(path: path, mode: 0o700).names() == [])
        #expect(try Directory.ensure(path: path, mode: 0o755).path == path)
        #expect(try inside.status(of: "a/b").mode == 0o700)
        try inside.write("file", "")
        #expect(throws: RktError.self) { try Directory.ensure(path: "\(inside.path)/file/x") }
        #expect(try inside.ensureDirectory("a").names() == ["b"])
    }

    @Test func aTreeIsRemovedWithoutFollowingLinks() throws {
        let tree = try inside.ensureDirectory("tree")
        try tree.ensureDirectory("deep").write("file", "")
        try tree.makeLink("up", to: "..")
        try tree.makeLink("out", to: temporary.path)
        try tree.makePipe("pipe", mode: 0o600)
        try inside.write("beside", "kept")
        try inside.removeTree("tree")
        #expect(try inside.names() == ["beside"])
        #expect(try outside.readText("secret") == "outside")
        try inside.removeTree("tree")
    }

    @Test func ofALinkToATreeOnlyTheLinkIsRemoved() throws {
        try inside.ensureDirectory("tree").write("file", "")
        try inside.makeLink("link", to: "tree")
        try inside.removeTree("link")
        #expect(try inside.names() == ["tree"])
        #expect(try inside.directory("tree").names() == ["file"])
    }

    @Test func aTreeThatItsOwnerMayNotReadIsRemoved() throws {
        try inside.ensureDirectory("tree").ensureDirectory("closed").write("file", "")
        try system("closing a directory") { chmod("\(inside.path)/tree/closed", 0) }
        try inside.removeTree("tree")
        #expect(try inside.names() == [])
    }

    @Test func aDirectoryStaysItselfWhenItIsRenamed() throws {
        let directory = try inside.ensureDirectory("old")
        try inside.rename("old", to: "new")
        try directory.write("file", "written")
        #expect(try inside.readText("new/file") == "written")
    }
}
