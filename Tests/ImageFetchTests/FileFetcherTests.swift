import Diagnostics
import ImageFetch
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Testing

@Suite struct FileFetcherTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private func fetch(_ path: String, insecure: Bool = true) throws -> ImageRecord {
        try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: insecure))
    }

    private func code(_ path: String) -> RktError.Code? {
        #expect(throws: RktError.self) { try fetch(path) }
        do {
            _ = try fetch(path)
            return nil
        } catch {
            return (error as? RktError)?.code
        }
    }

    @Test func anUnsignedFileNeedsPermission() throws {
        let path = try scratch.file("app", ImageFixture.small.layoutTar)
        let error = #expect(throws: RktError.self) { try fetch(path, insecure: false) }
        #expect(error?.code == .permissionDenied)
        #expect("\(try #require(error))".contains("--insecure-options=image"))
        #expect(try store.list().isEmpty)
    }

    @Test func aLayoutDirectoryAndItsTarAreTheSameImage() throws {
        let fixture = ImageFixture.small
        let first = try fetch(try fixture.writeLayout(scratch))
        let second = try fetch(try scratch.file("app.whatever", fixture.layoutTar))
        #expect(first.id == "sha256-\(ImageFixture.digest(fixture.manifestBytes).hex)")
        #expect(first.id == second.id)
        #expect(first.kind == .oci)
        #expect(first.names == ["example.com/app:1"])
        #expect(try store.list().map(\.id) == [first.id])
        #expect(try store.manifestJSON(of: first) == fixture.manifestBytes)
        #expect(try store.config(of: first).command == ["/bin/sh", "-c", "true"])
    }

    @Test(arguments: [#"a\tb"#, #"a\nweb\tb\tsha512-0"#, #"a\u0000"#, #"a\u007f"#, String(repeating: "a", count: 1025)])
    func aNameThatCouldForgeAListIsRefused(name: String) throws {
        var fixture = ImageFixture.small
        fixture.name = name
        #expect(code(try fixture.writeLayout(scratch)) == .invalidData)
        #expect(code(try scratch.file("docker", fixture.dockerTar(named: name))) == .invalidData)
        #expect(try store.list().isEmpty)
    }

    @Test func aDockerArchiveGetsTheSameManifestEachTime() throws {
        let first = try fetch(try scratch.file("one", ImageFixture.small.dockerTar))
        let second = try fetch(try scratch.file("two", ImageFixture.small.dockerTar))
        #expect(first.id == second.id)
        #expect(first.kind == .docker)
        #expect(try store.image(matching: "app:1").id == first.id)
        #expect(try store.image(matching: "docker.io/library/app:1").id == first.id)
    }

    @Test(arguments: ["cat", "gzip", "bzip2", "xz", "zstd"])
    func anAppcImageIsItsUncompressedTar(_ program: String) throws {
        let tar = ImageFixture.aci([.file("rootfs/bin", "content")])
        let path = try scratch.file("app", try program == "cat" ? tar : scratch.compressed(tar, with: program))
        let record = try fetch(path)
        let hash = try ContentHash.digest(.sha512, of: tar)
        #expect(record.id == "sha512-\(hash.hex.prefix(64))")
        #expect(record.kind == .appc)
        #expect(record.names == ["example.com/app:1.0.0"])
        #expect(try store.image(matching: "example.com/app").id == record.id)
        #expect(try store.image(matching: "example.com/app:1.0.0,os=linux").id == record.id)
        #expect(throws: RktError.self) { try store.image(matching: "example.com/app:2") }
        #expect(try store.image(matching: String(record.id.prefix(9))).id == record.id)
    }

    @Test(arguments: ["gzip", "bzip2", "xz", "zstd"])
    func aTarOfALayoutMayBeCompressed(_ program: String) throws {
        let path = try scratch.file("app", try scratch.compressed(ImageFixture.small.layoutTar, with: program))
        #expect(try fetch(path).id == "sha256-\(ImageFixture.digest(ImageFixture.small.manifestBytes).hex)")
    }

    @Test(arguments: [("gzip", "+gzip"), ("zstd", "+zstd")])
    func layersMayBeCompressed(_ program: String, _ suffix: String) throws {
        var fixture = ImageFixture.small
        fixture.layers[0].blob = try scratch.compressed(fixture.layers[0].tar, with: program)
        fixture.layers[0].mediaType += suffix
        let record = try fetch(try fixture.writeLayout(scratch))
        #expect(record.layers[0].diffID == ImageFixture.digest(fixture.layers[0].tar))
        #expect(record.layers[0].blob == ImageFixture.digest(fixture.layers[0].blob))
        if isRoot {
            let layer = try #require(try store.layers(of: record).first)
            #expect(try Directory(path: layer.path).readText("bin/sh") == "#!")
        }
    }

    @Test func aWrongDigestSizeOrDiffIDIsRefused() throws {
        var size = ImageFixture.small
        size.editManifest = { $0.replacing("\"size\":\(ImageFixture.small.layers[0].blob.count)", with: "\"size\":7") }
        #expect(code(try size.writeLayout(scratch, "size")) == .digestMismatch)

        var diff = ImageFixture.small
        diff.diffIDs = ["sha256:" + String(repeating: "0", count: 64)]
        #expect(code(try diff.writeLayout(scratch, "diff")) == .digestMismatch)
        #expect(code(try scratch.file("diff.tar", diff.dockerTar)) == .digestMismatch)

        let fixture = ImageFixture.small
        let path = try fixture.writeLayout(scratch, "digest")
        let blobs = try Directory(path: "\(path)/blobs/sha256")
        var changed = fixture.layers[0].blob
        changed[600] ^= 1
        try blobs.write(ImageFixture.digest(fixture.layers[0].blob).hex, changed)
        #expect(code(path) == .digestMismatch)

        #expect(try store.list().isEmpty)
    }

    @Test func theManifestIsVerifiedBeforeItIsParsed() throws {
        let fixture = ImageFixture.small
        let path = try fixture.writeLayout(scratch)
        let blobs = try Directory(path: "\(path)/blobs/sha256")
        var bytes = fixture.manifestBytes
        bytes[0] = UInt8(ascii: "x")
        try blobs.write(ImageFixture.digest(fixture.manifestBytes).hex, bytes)
        #expect(code(path) == .digestMismatch)
    }

    @Test(arguments: [
        #""manifests":[],"schemaVersion""#, #""mediaType":"\#(OCI.MediaType.index)","x""#,
        #""layers":[],"schemaVersion""#,
    ])
    func anAmbiguousManifestIsRefused(_ text: String) throws {
        var fixture = ImageFixture.small
        fixture.editManifest = { manifest in
            text.contains("mediaType")
                ? manifest.replacing("\"mediaType\":\"\(OCI.MediaType.manifest)\"", with: String(text.dropLast(4)))
                : manifest.replacing("\"schemaVersion\"", with: text)
        }
        #expect(code(try fixture.writeLayout(scratch)) == .invalidData)
        #expect(try store.list().isEmpty)
    }

    @Test func aLayoutLinkThatLeadsOutIsNotFollowed() throws {
        let fixture = ImageFixture.small
        let path = try fixture.writeLayout(scratch)
        let name = ImageFixture.digest(fixture.layers[0].blob).hex
        let outside = try scratch.file("outside", fixture.layers[0].blob)
        let blobs = try Directory(path: "\(path)/blobs/sha256")
        try blobs.remove(name)
        try blobs.makeLink(name, to: outside)
        #expect(code(path) == .notFound)
    }

    @Test func anotherPlatformIsRefused() throws {
        var fixture = ImageFixture.small
        fixture.platform = OCI.Platform(os: "linux", architecture: "mips")
        #expect(code(try fixture.writeLayout(scratch)) == .unsupported)
    }

    @Test(arguments: ["layout#example.com/app:1", "layout:example.com/app:1", "layout"])
    func aNameAfterThePathChoosesTheImage(_ path: String) throws {
        _ = try ImageFixture.small.writeLayout(scratch)
        #expect(try fetch("\(scratch.path)/\(path)").names == ["example.com/app:1"])
    }

    @Test func aNameThatIsNotThereIsRefused() throws {
        let path = try ImageFixture.small.writeLayout(scratch)
        #expect(code("\(path)#other") == .notFound)
    }

    private static let others: [String: [UInt8]] = [
        "nothing": [],
        "text": Array("just some text, longer than nothing".utf8),
        "zeros": [UInt8](repeating: 0, count: 4096),
        "another tar": TarWriter.tar([.file("some", "file")]),
        "an empty manifest": TarWriter.tar([.file("manifest", "{}"), .directory("rootfs")]),
        "an ACI with more": ImageFixture.aci([.file("extra", "x")]),
        "an ACI with two manifests": ImageFixture.aci([.file("manifest", "{}")]),
        "an ACI whose manifest is a link": TarWriter.tar([.directory("rootfs"), .link("manifest", to: "/etc/passwd")]),
        "an ACI without a manifest": TarWriter.tar([.directory("rootfs"), .file("rootfs/a")]),
        "an ACI without a rootfs": Array(ImageFixture.aci([]).prefix(1024)) + [UInt8](repeating: 0, count: 1024),
    ]

    @Test(arguments: FileFetcherTests.others.keys.sorted())
    func whatIsNoImageIsRefused(_ what: String) throws {
        #expect(code(try scratch.file("app", try #require(Self.others[what]))) == .invalidData)
        #expect(try store.list().isEmpty)
    }

    @Test(.enabled(if: isRoot, "unpacking needs root"))
    func layersUnpackWholeAndInOrder() throws {
        let fixture = ImageFixture([
            ImageFixture.Layer([.directory("a"), .file("a/1", "one"), .file("a/2", "two")]),
            ImageFixture.Layer([.file("a/.wh.1"), .directory("b"), .file("b/.wh..wh..opq"), .file("b/x")]),
        ])
        let record = try FileFetcher(store: store).fetch(
            path: try fixture.writeLayout(scratch),
            options: FetchOptions(insecureImage: true, unpack: false)
        )
        let layers = try store.layers(of: record)
        #expect(layers.map(\.diffID) == fixture.layers.map { ImageFixture.digest($0.tar) })
        #expect(try Directory(path: layers[0].path).readText("a/1") == "one")
        try scratch.shell("test -c '\(layers[1].path)/a/1'")
        try scratch.shell("test \"$(stat -c %t:%T '\(layers[1].path)/a/1')\" = 0:0")
        #expect(extendedAttribute("trusted.overlay.opaque", "\(layers[1].path)/b") == Array("y".utf8))
        #expect(extendedAttribute("trusted.overlay.opaque", "\(layers[1].path)/a") == nil)
        #expect(!Directory.exists("\(layers[1].path)/b/.wh..wh..opq"))
        #expect(try Directory(path: "\(scratch.path)/store").status(of: "layers").mode == 0o700)
        #expect(try store.layers(of: record) == layers)
    }

    @Test(.enabled(if: isRoot && hasProgram("umoci") && hasProgram("skopeo"), "needs root, umoci and skopeo"))
    func agreesWithUmociAndSkopeo() throws {
        try scratch.shell(
            """
            mkdir -p tree/a && echo x > tree/a/x && ln tree/a/x tree/a/y && ln -s x tree/a/l && chmod 4755 tree/a/x \
            && chown 7:8 tree/a && mkfifo tree/p && mknod tree/null c 1 3 && umoci init --layout made \
            && umoci new --image made:v1 && umoci insert --image made:v1 tree /tree && umoci unpack --image made:v1 want \
            && skopeo copy --quiet oci:made:v1 docker-archive:saved.tar:example.com/saved:v1 >/dev/null \
            && skopeo copy --quiet oci:made:v1 oci-archive:archived.tar:v1 >/dev/null
            """
        )
        let made = try fetch("\(scratch.path)/made:v1")
        #expect(try fetch("\(scratch.path)/archived.tar").id == made.id)
        let saved = try fetch("\(scratch.path)/saved.tar")
        #expect(saved.names == ["example.com/saved:v1"])
        #expect(saved.layers.map(\.diffID) == made.layers.map(\.diffID))
        let layer = try #require(try store.layers(of: made).last)
        try scratch.shell(
            """
            list() { (cd "$1" && find . -mindepth 1 ! -type d -printf '%P %y %m %U:%G %T@ %s %n %l\\n' | sort \
            && find . -mindepth 1 -type d -printf '%P %m %U:%G %T@\\n' | sort); }
            test -n "$(list want/rootfs)" && test "$(list want/rootfs)" = "$(list '\(layer.path)')"
            """
        )
    }

    @Test(.enabled(if: isRoot, "unpacking needs root"))
    func anAppcImageBringsItsDependencies() throws {
        let base = try fetch(try scratch.file("base", ImageFixture.aci(name: "example.com/base", [.file("rootfs/b")])))
        let more = #""dependencies":[{"imageName":"example.com/base"}],"#
        let top = try fetch(try scratch.file("top", ImageFixture.aci(more: more, [.file("rootfs/t", "top")])))
        let layers = try store.layers(of: top)
        #expect(layers.map(\.diffID) == [base.layers[0].diffID, top.layers[0].diffID])
        #expect(try Directory(path: layers[1].path).names() == ["t"])
    }
}

extension Directory {
    static func exists(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        return (try? Directory(path: "/" + parts.dropLast().joined(separator: "/")))?
            .contains(String(parts.last ?? "")) == true
    }
}
