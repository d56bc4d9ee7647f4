import Diagnostics
import ImageFixtures
import ImageStore
import LinuxOS
import Testing

/// Layers that steer overlayfs or the unpacker's own bookkeeping, next to a tree that must stay as it is.
@Suite(.enabled(if: isRoot, "layers have owners and devices: unpacking needs root"), .timeLimit(.minutes(10)))
struct HostileLayerTests {
    let scratch: Scratch
    let root: Directory

    init() throws {
        scratch = try Scratch()
        try Directory.ensure(path: "\(scratch.path)/outside").write("file", "untouched")
        root = try Directory.ensure(path: "\(scratch.path)/root")
    }

    private func unpack(_ entries: [TarWriter.Entry]) throws {
        let unpacker = try TarUnpacker(.layer, into: root, name: "layer x", limits: ImageLimits())
        _ = try TarWriter.tar(entries).withUnsafeBytes { try unpacker.take($0) }
        _ = try unpacker.finish()
    }

    private func expectOutsideUntouched() throws {
        #expect(try scratch.directory.names() == ["outside", "root"])
        #expect(try scratch.directory.directory("outside").names() == ["file"])
        #expect(try scratch.directory.directory("outside").readText("file") == "untouched")
        #expect(extendedAttribute("trusted.overlay.opaque", "\(scratch.path)/outside") == nil)
    }

    private func isOpaque(_ name: String) -> Bool {
        extendedAttribute("trusted.overlay.opaque", "\(scratch.path)/root/\(name)") == Array("y".utf8)
    }

    @Test func attributesThatSteerOverlayfsAreLeftOut() throws {
        let names = ["user.overlay.opaque", "user.overlay.redirect", "trusted.overlay.opaque", "user.overlayed"]
        try unpack([.directory("d").with { $0.pax = names.map { ("SCHILY.xattr.\($0)", Array("y".utf8)) } }])
        #expect(names.map { extendedAttribute($0, "\(scratch.path)/root/d") != nil } == [false, false, false, true])
    }

    @Test func linksCannotMakeATreeThatNobodyCanRemove() throws {
        let down = String(repeating: "d/", count: 200)
        var entries: [TarWriter.Entry] = []
        for level in 0..<20 {
            let above = level == 0 ? "" : "l\(level - 1)/"
            entries += [.directory(above + down), .link("l\(level)", to: "/" + above + down)]
        }
        let error = #expect(throws: RktError.self) { try unpack(entries) }
        #expect(error?.code == .limitExceeded)
        #expect("\(try #require(error))".contains("links make its path too deep"))
        try scratch.directory.removeTree("root")
        #expect(try scratch.directory.names() == ["outside"])
    }

    @Test func whatIsGoneAgainIsNotOpaque() throws {
        try unpack([
            .directory("a"), .file("a/.wh..wh..opq"), .file("a", "now a file"), .directory("b"),
            .file("b/.wh..wh..opq"), .link("b", to: "../outside"), .directory("c"), .link("l", to: "c"),
            .file("l/.wh..wh..opq"), .link("l", to: "/../outside"),
        ])
        #expect(isOpaque("c"))
        #expect(!isOpaque("a"))
        try expectOutsideUntouched()
    }

    @Test func timesOfWhatIsGoneAreNotSetOnWhatReplacedIt() throws {
        try unpack([
            .directory("d").with { $0.time = 5 }, .file("d").with { $0.time = 7 }, .directory("e").with { $0.time = 5 },
            .link("e", to: "../outside").with { $0.time = 9 },
        ])
        try scratch.shell("test \"$(stat -c %Y root/d root/e | xargs)\" = '7 9'")
        try scratch.shell("test \"$(stat -c %Y outside)\" != 5")
    }

    @Test func aDirectoryInThePlaceOfSomethingHidesWhatIsBelow() throws {
        try unpack([
            .file("file"), .directory("file"), .link("link", to: "/"), .directory("link"), .file(".wh.gone"),
            .file("gone/new"), .directory("plain"), .directory("plain"),
        ])
        #expect(isOpaque("file") && isOpaque("link") && isOpaque("gone") && !isOpaque("plain"))
        try expectOutsideUntouched()
    }

    @Test func anEarlierDirectorysAttributesAreNotKept() throws {
        let first = TarWriter.Entry.directory("d").with { $0.pax = [("SCHILY.xattr.user.first", Array("1".utf8))] }
        let second = TarWriter.Entry.directory("d").with { $0.pax = [("SCHILY.xattr.user.second", Array("2".utf8))] }
        try unpack([first, second])
        #expect(extendedAttribute("user.first", "\(scratch.path)/root/d") == nil)
        #expect(extendedAttribute("user.second", "\(scratch.path)/root/d") == Array("2".utf8))
    }

    @Test func namesEndAtNoNUL() throws {
        let name = Array("x\0/../../outside/new".utf8)
        _ = try? unpack([.file("y").with { $0.pax = [("path", name)] }])
        try expectOutsideUntouched()
    }
}
