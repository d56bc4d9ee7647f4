import Diagnostics
import ImageFixtures
import ImageStore
import LinuxOS
import Testing

/// Unpacks layers that are hostile or odd, next to a tree that must stay as it is.
@Suite(.enabled(if: isRoot, "layers have owners and devices: unpacking needs root"), .timeLimit(.minutes(10)))
struct TarUnpackerTests {
    let scratch: Scratch
    let root: Directory

    init() throws {
        scratch = try Scratch()
        _ = try Directory.ensure(path: "\(scratch.path)/outside/d")
        try Directory(path: "\(scratch.path)/outside").write("file", "untouched")
        root = try Directory.ensure(path: "\(scratch.path)/root")
    }

    private func unpack(
        _ tar: [UInt8],
        _ mode: TarUnpacker.Mode = .layer,
        limits: ImageLimits = ImageLimits()
    ) throws -> TarUnpacker.Report {
        let unpacker = try TarUnpacker(mode, into: root, name: "layer x", limits: limits)
        _ = try tar.withUnsafeBytes { try unpacker.take($0) }
        return try unpacker.finish()
    }

    private func refusal(_ entries: [TarWriter.Entry], limits: ImageLimits = ImageLimits()) -> RktError? {
        #expect(throws: RktError.self) { try unpack(TarWriter.tar(entries), limits: limits) }
    }

    /// The sentinel tree, and nothing new beside it.
    private func expectOutsideUntouched() throws {
        let outside = try Directory(path: "\(scratch.path)/outside")
        #expect(try outside.names() == ["d", "file"])
        #expect(try outside.readText("file") == "untouched")
        #expect(try outside.directory("d").names().isEmpty)
        #expect(try scratch.directory.names().filter { $0 != "tree.tar" && $0 != "want" } == ["outside", "root"])
    }

    private func expect(_ command: String, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(throws: Never.self, sourceLocation: sourceLocation) { try scratch.shell("cd root && \(command)") }
    }

    // MARK: Ends

    /// More than what is underway at once, so that the end may come while the child still reads.
    @Test func theEndIsSeenHoweverLateTheChildIs() throws {
        let tar = TarWriter.tar([.file("f", String(repeating: "x", count: 1_500_000))])
        // GNU tar and libarchive take an archive without the zeros at its end.
        let bare = Array(tar.prefix(512 + 1_500_160))
        for _ in 0..<60 {
            #expect(try unpack(bare).bytes == 1_500_000)
            let error = #expect(throws: RktError.self) { try unpack(Array(bare.dropLast(100_000))) }
            #expect(error.map { "\($0)" }?.contains("Truncated") == true)
        }
    }

    // MARK: Ways out

    private static let outward: [String: [TarWriter.Entry]] = [
        "..": [.file("../outside/new")],
        "a/../../x": [.directory("a"), .file("a/../../outside/new")],
        "hard link with ..": [.hardLink("x", to: "../outside/file")],
        "absolute hard link": [.hardLink("x", to: "/etc/passwd")],
        "hard link through a link": [.link("l", to: "/"), .hardLink("x", to: "l/etc/passwd")],
        "dangling link as a directory": [.link("l", to: "../outside"), .file("l/new", "x")],
        "absolute link as a directory": [.link("l", to: "/tmp"), .file("l/new", "x")],
        "whiteout of ..": [.directory("a"), .file("a/.wh...")],
        "whiteout of .": [.file(".wh..")],
        "whiteout of nothing": [.file(".wh.")],
        "opaque through a link": [.link("l", to: "../outside/d"), .file("l/.wh..wh..opq")],
        "link chain": [.link("a", to: "b"), .link("b", to: "a"), .file("a/x")],
        "pax path with ..": [.file("x").with { $0.pax = [("path", Array("../outside/new".utf8))] }],
        "pax link with ..": [.hardLink("x", to: "y").with { $0.pax = [("linkpath", Array("../outside/file".utf8))] }],
        "file as the root": [.file("./", "x").with { $0.name = Array(".".utf8) }],
        "link as the root": [.link(".", to: "/tmp")],
        "file as a directory": [.file("f"), .file("f/x")],
        "hard link to a directory": [.directory("d"), .hardLink("x", to: "d")],
        "hard link to nothing": [.hardLink("x", to: "y")],
        "owner of 2^32": [.file("x").with { $0.uid = 1 << 32 }],
        "owner of 2^32-1": [.file("x").with { $0.gid = 0xffff_ffff }],
    ]

    @Test(arguments: TarUnpackerTests.outward.keys.sorted())
    func whatLeadsOutOrNowhereIsRefused(_ what: String) throws {
        let error = refusal(try #require(Self.outward[what]))
        #expect(error?.code == .invalidData)
        #expect("\(try #require(error))".contains("layer x, entry"))
        try expectOutsideUntouched()
    }

    @Test func theUnpackerSeesNothingButItsDirectory() throws {
        #expect(try unpack(TarWriter.tar([.file("x")])).hadOwnRoot)
    }

    @Test func linksStayLinksAndAreResolvedInside() throws {
        _ = try unpack(
            TarWriter.tar([
                .directory("usr/lib"), .link("lib", to: "/usr/lib"), .file("lib/x", "inside"),
                .link("passwd", to: "/etc/passwd"), .hardLink("same", to: "passwd"), .file("/abs", "a"),
                .file("./././dots", "d"),
            ])
        )
        expect(
            "test -f usr/lib/x -a -L lib -a -L same && test \"$(readlink same)\" = /etc/passwd && test -f abs -a -f dots"
        )
        try expectOutsideUntouched()
    }

    // MARK: Odd but right

    @Test func theLastOfSeveralEntriesCounts() throws {
        _ = try unpack(
            TarWriter.tar([
                .file("a", "1"), .file("a", "2"), .directory("d"), .file("d/x"), .file("d", "file"), .file("f"),
                .directory("f", mode: 0o700), .file("f/y"), .link("l", to: "/etc"), .directory("l"), .file("l/z"),
                .file("h", "1"), .hardLink("h", to: "h"), .directory("m", mode: 0o700), .directory("m", mode: 0o750),
            ])
        )
        expect("test \"$(cat a)\" = 2 -a \"$(cat d)\" = file -a -f f/y -a ! -L l -a -f l/z -a -f h")
        expect("test \"$(stat -c %a m)\" = 750")
    }

    @Test func ownersModesTimesAndDevicesAreAsInTheArchive() throws {
        _ = try unpack(
            TarWriter.tar([
                .directory("./", mode: 0o751),
                .file("suid", "x", mode: 0o4755).with { ($0.uid, $0.gid) = (12345, 54321) },
                .directory("sticky", mode: 0o1777), .file("sticky/x"), .device("null", 1, 3),
                .file("p").with { $0.type = "6" }, .file("big").with { $0.uid = 4_000_000_000 },
                .link("l", to: "x").with { $0.uid = 77 },
            ])
        )
        expect("test \"$(stat -c %a:%u:%g:%Y suid)\" = 4755:12345:54321:1000000000")
        expect("test \"$(stat -c %a:%Y sticky)\" = 1777:1000000000 && test \"$(stat -c %a .)\" = 751")
        expect("test -c null -a -p p && test \"$(stat -c %t:%T null)\" = 1:3")
        expect("test \"$(stat -c %u big)\" = 4000000000 && test \"$(stat -c %u l)\" = 77")
    }

    @Test func namesAreBytes() throws {
        let latin: [UInt8] = [0x66, 0xfc, 0x72]
        _ = try unpack(
            TarWriter.tar([
                .file("new\nline"), .file("x").with { $0.name = latin },
                .file("y").with { $0.pax = [("path", latin + [0x32])] },
                .file("ü-utf8").with { $0.pax = [("path", Array("ü-pax".utf8))] },
                .file(String(repeating: "n", count: 200)),
            ])
        )
        expect(
            "test -f \"$(printf 'new\\nline')\" -a -f \"$(printf 'f\\374r')\" -a -f \"$(printf 'f\\374r2')\" -a -f ü-pax"
        )
        expect("test -f \(String(repeating: "n", count: 200))")
    }

    @Test func onlyHarmlessAttributesAreSet() throws {
        let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        let attributes = [
            ("trusted.overlay.opaque", Array("y".utf8)), ("trusted.overlay.redirect", Array("/etc".utf8)),
            ("security.selinux", Array("x".utf8)), ("security.capability", capability), ("user.note", Array("n".utf8)),
        ]
        _ = try unpack(
            TarWriter.tar([.file("x").with { $0.pax = attributes.map { ("SCHILY.xattr.\($0.0)", $0.1) } }])
        )
        let path = "\(scratch.path)/root/x"
        #expect(extendedAttribute("security.capability", path) == capability)
        #expect(extendedAttribute("user.note", path) == Array("n".utf8))
        for (name, _) in attributes.prefix(3) { #expect(extendedAttribute(name, path) == nil) }
    }

    @Test func accessControlListsAreSet() throws {
        let list = Array("user::rw-,user:x:r--:1234,group::r--,mask::rw-,other::---".utf8)
        _ = try unpack(TarWriter.tar([.file("x").with { $0.pax = [("SCHILY.acl.access", list)] }]))
        let value = try #require(extendedAttribute("system.posix_acl_access", "\(scratch.path)/root/x"))
        #expect(value.count == 4 + 5 * 8)
        #expect(Array(value[12..<20]) == [2, 0, 4, 0, 0xd2, 0x04, 0, 0])
    }

    @Test func whiteoutsHideLowerLayersOnly() throws {
        _ = try unpack(
            TarWriter.tar([
                .file("kept"), .file(".wh.kept"), .file(".wh.gone"), .directory("d"), .file("d/x"), .file(".wh.d"),
                .file(".wh.e"), .directory("e"), .file(".wh..wh.plnk"),
            ])
        )
        expect(
            "test -f kept -a -c gone -a -f d/x -a -d e && test \"$(stat -c %t:%T gone)\" = 0:0 && ! ls -a | grep -q wh"
        )
        #expect(extendedAttribute("trusted.overlay.opaque", "\(scratch.path)/root/d") == Array("y".utf8))
        #expect(extendedAttribute("trusted.overlay.opaque", "\(scratch.path)/root/e") == Array("y".utf8))
    }

    // MARK: Limits

    @Test func aPathTooDeepIsRefused() throws {
        let error = refusal([.file(String(repeating: "a/", count: 2000) + "x")])
        #expect(error?.code == .limitExceeded)
        #expect("\(try #require(error))".contains("too deep"))
    }

    @Test func aPetabyteIsRefusedBeforeItIsWritten() {
        #expect(refusal([.file("x").with { $0.claimedSize = 1 << 50 }])?.code == .limitExceeded)
        let sparse: [(String, [UInt8])] = [
            ("GNU.sparse.major", Array("0".utf8)), ("GNU.sparse.minor", Array("1".utf8)),
            ("GNU.sparse.name", Array("x".utf8)), ("GNU.sparse.realsize", Array("\(1 << 50)".utf8)),
            ("GNU.sparse.size", Array("\(1 << 50)".utf8)), ("GNU.sparse.map", Array("0,1".utf8)),
        ]
        #expect(refusal([.file("x", "1").with { $0.pax = sparse }])?.code == .limitExceeded)
    }

    @Test func tooManyEntriesBytesOrAttributesAreRefused() {
        var limits = ImageLimits()
        limits.entries = 3
        #expect(refusal([.file("1"), .file("2"), .file("3"), .file("4")], limits: limits)?.code == .limitExceeded)
        limits = ImageLimits()
        limits.unpackedBytes = 1000
        let half = String(repeating: "x", count: 600)
        #expect(refusal([.file("1", half), .file("2", half)], limits: limits)?.code == .limitExceeded)
        limits = ImageLimits()
        limits.attributeBytes = 100
        let large = TarWriter.Entry.file("x").with { entry in
            entry.pax = [("SCHILY.xattr.user.x", [UInt8](repeating: 65, count: 200))]
        }
        #expect(refusal([large], limits: limits)?.code == .limitExceeded)
    }

    @Test func sparseFilesKeepTheirHoles() throws {
        let sparse: [(String, [UInt8])] = [
            ("GNU.sparse.major", Array("0".utf8)), ("GNU.sparse.minor", Array("1".utf8)),
            ("GNU.sparse.name", Array("x".utf8)), ("GNU.sparse.realsize", Array("1000000".utf8)),
            ("GNU.sparse.size", Array("1000000".utf8)), ("GNU.sparse.map", Array("500000,4".utf8)),
        ]
        _ = try unpack(TarWriter.tar([.file("x", "data").with { $0.pax = sparse }]))
        expect("test \"$(stat -c %s x)\" = 1000000 && test \"$(dd if=x bs=1 skip=500000 count=4 2>/dev/null)\" = data")
        expect("test \"$(stat -c %b x)\" -lt 100")
    }

    // MARK: The system's own tar as the judge

    @Test(.enabled(if: hasProgram("tar") && hasProgram("find"), "tar and find are missing"))
    func agreesWithTarEntryByEntry() throws {
        try scratch.shell(
            """
            mkdir -p want/tree/a/b/c && cd want/tree && echo one > a/one && ln a/one a/two && ln -s ../one a/b/link \
            && mknod a/dev b 7 1 && mkfifo a/fifo && truncate -s 3M a/b/sparse && echo x >> a/b/sparse \
            && head -c 100000 /dev/urandom > a/b/c/random && chmod 4711 a/b/c/random && chown 1000:1001 a/b \
            && chmod 2775 a/b && chown -h 5:6 a/b/link && touch -d @123456789.5 a/b/c && touch -d @5 a/one \
            && touch "$(printf 'odd\\n\\303\\274name')" && mkdir empty && chmod 0 empty \
            && cd .. && tar --numeric-owner --sparse --format=posix -cf ../tree.tar -C tree .
            """
        )
        _ = try unpack(try scratch.directory.read("tree.tar"))
        try scratch.shell(
            """
            list() { (cd "$1" && find . -printf '%P %y %m %U:%G %T@ %s %n %l\\n' | sed 's/ d \\(.*\\) [0-9]* [0-9]* $/ d \\1/' | sort); }
            rm -rf want/* && mkdir want/tree && tar --numeric-owner --xattrs -xpSf tree.tar -C want/tree
            test "$(list want/tree)" = "$(list root)" && diff -r --no-dereference want/tree/a/b root/a/b
            """
        )
    }
}
