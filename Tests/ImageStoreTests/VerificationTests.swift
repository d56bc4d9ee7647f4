import CLinux
import Diagnostics
import Glibc
import ImageFetch
import ImageFixtures
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageStore

@Suite(.timeLimit(.minutes(10))) struct VerificationTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private func fetch(_ path: String) throws -> ImageRecord {
        try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
    }

    private func image() throws -> ImageRecord {
        var fixture = ImageFixture.small
        fixture.layers.append(
            ImageFixture.Layer([
                .file("etc/a", "content"), .hardLink("etc/b", to: "etc/a"), .link("l", to: "etc"), .file(".wh.gone"),
                .directory("hidden"), .file("hidden/.wh..wh..opq"),
            ])
        )
        return try fetch(try fixture.writeLayout(scratch))
    }

    /// An image of files a, d/b and d/c that lets through d/b only.
    private func limited(_ paths: String = #""/d/b""#) throws -> ImageRecord {
        let entries: [TarWriter.Entry] = [
            .file("rootfs/a", "1"), .directory("rootfs/d", mode: 0o711), .file("rootfs/d/b", "2"),
            .file("rootfs/d/c", "3"),
        ]
        let aci = ImageFixture.aci(more: #""pathWhitelist":[\#(paths)],"#, entries)
        return try fetch(try scratch.file("limited.aci", aci))
    }

    @Test func whatIsGoodIsFoundGood() throws {
        let record = try image()
        let found = try store.verify(nil)
        #expect(found.damages.map { "\($0.object): \($0.problem)" } == [])
        #expect(found.isGood(record))
        #expect(found.comparedLayers == isRoot)
    }

    @Test func itSaysHowFarItIs() throws {
        let record = try image()
        let heard = Mutex<[(item: String, done: Int64, total: Int64?)]>([])
        _ = try store.verify(nil) { item, done, total in heard.withLock { $0.append((item, done, total)) } }
        let all = heard.withLock(\.self)
        #expect(Set(all.map(\.item)) == ["images"])
        #expect(Set(all.map(\.total)) == [record.size])
        #expect(all.map(\.done).max() == record.size)
    }

    @Test func everyDamagedBlobIsNamed() throws {
        let record = try image()
        let blobs = try store.blobDirectory(.sha256)
        for blob in [record.manifest, record.layers[0].blob, record.layers[1].blob] {
            var bytes = try blobs.read(blob.hex)
            bytes[bytes.count / 2] ^= 1
            try blobs.write(blob.hex, bytes)
        }
        try blobs.remove(try #require(record.config).hex)
        let found = try store.verify(nil)
        #expect(Set(found.damages.map(\.object)) == Set(record.blobs.map { .blob($0) }))
        #expect(found.damages.allSatisfy { $0.images.map(\.id) == [record.id] })
        #expect(!found.isGood(record))
    }

    @Test func aRecordThatCannotBeReadIsNamed() throws {
        let record = try image()
        try store.part("images").write("sha256-00.json", "{")
        let found = try store.verify(nil)
        #expect(found.damages.map(\.object) == [.record("\(store.root)/images/sha256-00.json")])
        #expect(found.isGood(record))
    }

    @Test(
        .enabled(if: isRoot),
        arguments: [
            ("echo other > etc/a", "etc/a"), ("rm etc/b", "etc/b"), ("touch new", "new"), ("chmod 600 etc/a", "etc/a"),
            ("chown 5 etc/a", "etc/a"), ("rm l && ln -s usr l", "l"), ("setfattr -n user.x -v y etc/a", "etc/a"),
            ("cp -p etc/b b && mv b etc/b", "etc/b"), ("touch -d @7 etc/a", "etc/a"), ("rm gone && touch gone", "gone"),
            ("setfattr -x trusted.overlay.opaque hidden", "hidden"), ("rm -r etc && ln -s /etc etc", "etc"),
        ]
    )
    func aLayerThatWasChangedIsFoundAndPutRight(_ change: String, _ place: String) throws {
        let record = try image()
        let layer = record.layers[1].diffID
        try scratch.shell("cd store/layers/\(layer.hex) && \(change)")
        let found = try store.verify([record])
        #expect(found.damages.map(\.object) == [.layer(layer)])
        #expect(found.damages.first?.problem.contains("\"\(place)\"") == true)
        try store.replaceLayer(layer, of: record)
        #expect(try store.verify([record]).damages.isEmpty)
        #expect(try store.part("tmp").names() == [])
    }

    @Test func aBlobIsReplacedByTheRightOneOnly() throws {
        let record = try image()
        let blob = record.layers[0].blob
        let blobs = try store.blobDirectory(.sha256)
        let right = try blobs.read(blob.hex)
        try blobs.write(blob.hex, "wrong")
        let error = #expect(throws: RktError.self) {
            try store.replaceBlob(blob) { sink in try [UInt8]("also wrong".utf8).withUnsafeBytes(sink) }
        }
        #expect(error?.code == .digestMismatch)
        #expect(try blobs.readText(blob.hex) == "wrong")
        try store.replaceBlob(blob) { sink in try right.withUnsafeBytes(sink) }
        #expect(try store.verify([record]).damages.isEmpty)
    }

    // MARK: Path whitelists

    @Test(arguments: [
        ("d/b", true), ("d", true), ("a", false), ("d/c", false), ("d/b/c", false), ("x/y", true), ("x", true),
        ("y", false),
    ])
    func onlyListedPathsAreLetThrough(_ path: String, _ isKept: Bool) throws {
        let list = try #require(PathWhitelist(["/d/b/", "//x/./z/../y"]))
        #expect(list.keeps(Array(path.utf8)) == isKept)
    }

    @Test func anEmptyListLetsThroughAll() {
        #expect(PathWhitelist([]) == nil)
    }

    @Test(.enabled(if: isRoot)) func anImageWithAListHasNothingElse() throws {
        let record = try limited()
        let layers = try store.layers(of: record)
        #expect(layers.count == 1)
        let root = try Directory(path: layers[0].path)
        #expect(try root.names() == ["d"])
        #expect(try root.status(of: "d").mode == 0o711)
        #expect(try root.directory("d").names() == ["b"])
        // The next time it is there, and it is checked as all layers are.
        #expect(try store.layers(of: record) == layers)
        #expect(try store.verify(nil).damages.isEmpty)
        try root.writeInPlace("more", "")
        #expect(try store.verify(nil).damages.map(\.object) == [.layer(layers[0].diffID)])
        try store.replaceLayer(layers[0].diffID, of: record)
        #expect(try store.verify(nil).damages.isEmpty)
        // Alone, an image is as it came.
        #expect(try Directory(path: try store.ownLayers(of: record)[0].path).names() == ["a", "d"])
    }

    @Test(.enabled(if: isRoot)) func aListLimitsWhatAnImageDependsOn() throws {
        _ = try limited(#""/d/b","/d/c","/a""#)
        let top = ImageFixture.aci(
            name: "example.com/top",
            more: #""pathWhitelist":["/d/c","/own"],"dependencies":[{"imageName":"example.com/app"}],"#,
            [.file("rootfs/own", "4"), .file("rootfs/not", "5")]
        )
        let record = try fetch(try scratch.file("top.aci", top))
        try scratch.directory.makeDirectory("root", mode: 0o755)
        let root = try scratch.directory.directory("root")
        try store.copyRoot(of: record, alone: false, to: root)
        #expect(try root.names() == ["d", "own"])
        #expect(try root.directory("d").names() == ["c"])
    }
}
