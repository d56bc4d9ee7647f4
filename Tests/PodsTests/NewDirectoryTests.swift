import Diagnostics
import Glibc
import LinuxOS
@testable import Pods
import TestSupport
import Testing

@Suite struct NewDirectoryTests {
    private let scratch: TemporaryDirectory
    private let directory: Directory

    init() throws {
        scratch = try TemporaryDirectory()
        directory = try Directory(path: scratch.path(of: "."))
    }

    private func make(
        _ name: String,
        overwrite: Bool = true,
        protecting: String = "/var/lib/none"
    ) throws -> NewDirectory {
        let place = try OutputPlace(scratch.path(of: name))
        return try NewDirectory(place, overwrite: overwrite, existing: "it exists", protecting: protecting)
    }

    @Test func nothingIsThereUntilAllIs() throws {
        var output: NewDirectory? = try make("out")
        try output?.directory.writeInPlace("file", "content")
        #expect(!directory.contains("out"))
        output = nil
        #expect(try directory.names() == [])
        try make("out").finish()
        #expect(try directory.names() == ["out"])
    }

    @Test func whatIsThereStaysUnlessItIsToBeReplaced() throws {
        try directory.makeDirectory("out")
        try directory.directory("out").writeInPlace("old", "")
        #expect(try failure { try make("out", overwrite: false) }.message == "it exists")
        let output = try make("out/")
        #expect(directory.contains("out/old"))
        try output.finish()
        #expect(!directory.contains("out/old"))
        withExtendedLifetime(output) {}
    }

    @Test func aLinkIsNotFollowed() throws {
        try directory.makeDirectory("real")
        try directory.makeLink("link", to: "real")
        for name in ["link", "link/"] {
            #expect(try failure { try make(name) }.message.contains("symbolic link"))
            #expect(try failure { try make(name, overwrite: false) }.message == "it exists")
        }
        try directory.writeInPlace("file", "")
        #expect(try failure { try make("file") }.code == .alreadyExists)
    }

    @Test(arguments: ["store", "store/layers", "store/layers/x", ".", "store/..", "store/new"])
    func theStoreIsNeitherReplacedNorWrittenInto(_ name: String) throws {
        let store = try Directory.ensure(path: scratch.path(of: "store/layers/x"))
        #expect(try failure { try make(name, protecting: scratch.path(of: "store")) }.code == .invalidArgument)
        withExtendedLifetime(store) {}
        #expect(directory.contains("store/layers/x"))
    }

    @Test(arguments: ["/", "//", "/.", "/tmp/.."])
    func theRootIsNoPlace(_ path: String) throws {
        #expect(try failure { try OutputPlace(path) }.code == .invalidArgument)
    }

    @Test func whatHasAMountInItIsNotReplaced() throws {
        let place = try OutputPlace("/proc")
        let error = try failure { try NewDirectory(place, overwrite: true, existing: "", protecting: "/var/lib/none") }
        #expect(error.code == .busy)
    }

    @Test func theKernelsEscapesAreUndone() {
        #expect(MountTable.unescaped(#"/a\040b\134c\0"#) == #"/a b\c\0"#)
    }

    @Test func aFileAppearsWholeAndReplacesFilesOnly() throws {
        func file(_ name: String, overwrite: Bool) throws -> NewFile {
            try NewFile(try OutputPlace(scratch.path(of: name)), overwrite: overwrite, existing: "it exists")
        }
        try file("out", overwrite: false).finish()
        #expect(try failure { try file("out", overwrite: false) }.message == "it exists")
        let again = try file("out", overwrite: true)
        try again.file.writeAll("new", name: "out")
        #expect(try directory.readText("out") == "")
        try again.finish()
        #expect(try directory.readText("out") == "new")
        try directory.makePipe("pipe", mode: 0o600)
        try directory.makeLink("link", to: "out")
        for name in ["pipe", "link"] { #expect(try failure { try file(name, overwrite: true) }.code == .alreadyExists) }
        #expect(try directory.names() == ["link", "out", "pipe"])
    }
}
