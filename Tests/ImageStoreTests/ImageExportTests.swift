import Diagnostics
import Glibc
import ImageFetch
import ImageFixtures
import LinuxOS
import Manifests
import Testing

@testable import ImageStore

@Suite(.timeLimit(.minutes(10))) struct ImageExportTests {
    let scratch: Scratch
    let store: ImageStore
    let other: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
        other = try ImageStore(root: "\(scratch.path)/other", create: true)
    }

    private func fetch(_ path: String, into store: ImageStore) throws -> ImageRecord {
        try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
    }

    private func exported(_ record: ImageRecord, _ format: ImageFormat) throws -> String {
        let file = try scratch.directory.open("export", flags: O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
        let shared = SharedFD(file)
        try store.export(record, as: format) { try shared.descriptor.writeAll($0, name: "export") }
        return "\(scratch.path)/export"
    }

    private var layered: ImageFixture {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("etc/a", "1"), .file("etc/b", "2", mode: 0o4755)]))
        fixture.layers.append(ImageFixture.Layer([.file("etc/.wh.a"), .file("etc/c", "3")]))
        return fixture
    }

    @Test func anOCIImageIsTheSameWhenItComesBack() throws {
        let record = try fetch(try layered.writeLayout(scratch), into: store)
        let back = try fetch(try exported(record, .oci), into: other)
        #expect(back.id == record.id)
        #expect(back.names == record.names)
        #expect(try other.verify([back]).damages.isEmpty)
    }

    @Test func aLayoutInADirectoryIsToo() throws {
        let record = try fetch(try layered.writeLayout(scratch), into: store)
        try scratch.directory.makeDirectory("out")
        try store.export(record, to: try scratch.directory.directory("out"))
        #expect(try fetch("\(scratch.path)/out", into: other).id == record.id)
    }

    @Test func aDockerImageIsToo() throws {
        let record = try fetch(try scratch.file("docker.tar", layered.dockerTar), into: store)
        #expect(try fetch(try exported(record, .oci), into: other).id == record.id)
    }

    @Test func anACIIsWrittenByteByByte() throws {
        let aci = ImageFixture.aci([.file("rootfs/a", "b")])
        let record = try fetch(try scratch.file("image.aci", aci), into: store)
        _ = try exported(record, .aci)
        #expect(try scratch.directory.read("export") == aci)
    }

    @Test func aDamagedBlobIsNotExported() throws {
        let record = try fetch(try layered.writeLayout(scratch), into: store)
        let blob = record.layers[1].blob
        let blobs = try store.blobDirectory(.sha256)
        var bytes = try blobs.read(blob.hex)
        bytes[100] ^= 1
        try blobs.write(blob.hex, bytes)
        #expect(#expect(throws: RktError.self) { try exported(record, .oci) }?.code == .digestMismatch)
    }

    @Test(.enabled(if: isRoot)) func conversionKeepsTheTreeBothWays() throws {
        let record = try fetch(try layered.writeLayout(scratch), into: store)
        let aci = try fetch(try exported(record, .aci), into: store)
        #expect(aci.kind == .appc)
        #expect(aci.names == ["example.com/app:1"])
        #expect(try store.config(of: aci).command == ["/bin/sh", "-c", "true"])
        let oci = try fetch(try exported(aci, .oci), into: other)
        #expect(try other.config(of: oci).command == ["/bin/sh", "-c", "true"])

        var trees: [TreeFingerprint] = []
        for (index, (store, image)) in [(store, record), (store, aci), (other, oci)].enumerated() {
            try scratch.directory.makeDirectory("tree-\(index)", mode: 0o755)
            let directory = try scratch.directory.directory("tree-\(index)")
            try store.copyRoot(of: image, alone: false, to: directory)
            trees.append(try TreeFingerprint(directory))
            #expect(!directory.contains("etc/a"))
            #expect(!directory.contains("etc/.wh.a"))
            #expect(try directory.readText("etc/c") == "3")
            #expect(try directory.status(of: "etc/b").mode == 0o4755)
        }
        #expect(trees[0].differences(in: trees[1], madeAfter: nil) == [])
        #expect(trees[1].differences(in: trees[2], madeAfter: nil) == [])
    }

    @Test(
        arguments: [
            ("redis", "redis", nil), ("localhost:5000/team/redis:7", "localhost:5000/team/redis", "7"),
            ("docker.io/redis@sha256:00", "docker.io/redis", nil), ("host:5000/a", "host:5000/a", nil),
        ] as [(String, String, String?)]
    )
    func namesAreTakenApart(_ name: String, _ repository: String, _ tag: String?) {
        let parts = AppcConversion.parts(of: name)
        #expect(parts.repository == repository)
        #expect(parts.tag == tag)
    }
}
