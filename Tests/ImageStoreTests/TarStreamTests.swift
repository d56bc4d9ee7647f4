import Diagnostics
import Glibc
import ImageFixtures
import LinuxOS
import Testing

@testable import ImageStore

@Suite struct TarStreamTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func write(_ body: (TarStream) throws -> Void) throws {
        var bytes: [UInt8] = []
        let tar = TarStream { bytes += $0 }
        try body(tar)
        try tar.finish()
        #expect(bytes.count % 10_240 == 0)
        _ = try scratch.file("out.tar", bytes)
    }

    @Test func tarReadsWhatWasWritten() throws {
        let long = String(repeating: "d/", count: 80) + "ü"
        try write { tar in
            try tar.addDirectory("a")
            try tar.addFile("a/b", Array("content".utf8))
            try tar.addFile(long, [])
        }
        try scratch.shell("tar -tf out.tar > list && printf 'a/\\na/b\\n\(long)\\n' | diff - <(cat list)".bash)
        try scratch.shell("test \"$(tar -xOf out.tar a/b)\" = content")
    }

    @Test func contentOfAnotherLengthIsRefused() {
        let tar = TarStream { _ in }
        #expect(throws: RktError.self) {
            try tar.addFile("a", size: 5) { sink in try [UInt8](repeating: 0, count: 4).withUnsafeBytes(sink) }
        }
    }

    @Test(.enabled(if: isRoot)) func aTreeComesBackAsItWas() throws {
        try scratch.shell(
            """
            mkdir tree && cd tree && mkdir -m 1777 d && echo x > d/f && ln d/f d/g && ln -s ../nowhere d/l \
            && mknod c c 1 3 && mkfifo p && chown 1000:3000000 d/f && chmod 6755 d/f \
            && touch -d '1960-01-01 00:00:00.25' p \
            && touch "$(printf 'bad\\377name')" && truncate -s 3M sparse && setfattr -n user.x -v y d/f && touch -d @5 d . \
            && (setfacl -m u:12:rx d/f || true)
            """
        )
        let tree = try scratch.directory.directory("tree")
        try write { tar in try tree.walk { try tar.add($0, prefix: "") } }
        try scratch.shell("mkdir back && tar -C back --xattrs --acls --numeric-owner -xpf out.tar")
        let wanted = try TreeFingerprint(tree)
        let back = try TreeFingerprint(try scratch.directory.directory("back"))
        #expect(wanted.differences(in: back, madeAfter: nil) == [])
    }

    @Test(arguments: [
        (0, 0, "0"), (5, 250_000_000, "5.25"), (-1, 0, "-1"), (-1, 500_000_000, "-0.5"), (-2, 750_000_000, "-1.25"),
    ])
    func timesAreWrittenAsDecimals(_ seconds: Int64, _ nanoseconds: UInt32, _ text: String) {
        #expect(TarStream.time(seconds, nanoseconds) == text)
    }

    @Test func accessControlListsAreWrittenAsText() {
        let value: [UInt8] =
            [2, 0, 0, 0] + [1, 0, 7, 0, 255, 255, 255, 255] + [2, 0, 5, 0, 12, 0, 0, 0] + [
                4, 0, 4, 0, 255, 255, 255, 255,
            ]
            + [16, 0, 7, 0, 255, 255, 255, 255] + [32, 0, 0, 0, 255, 255, 255, 255]
        #expect(ACLText.text(value) == "user::rwx,user:12:r-x,group::r--,mask::rwx,other::---")
    }
}

extension String {
    /// The command for a shell with process substitution.
    fileprivate var bash: String { "bash -c '\(replacing("'", with: "'\\''"))'" }
}
