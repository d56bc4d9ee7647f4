import Diagnostics
import Glibc
import ImageFetch
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Testing

@Suite(.timeLimit(.minutes(10))) struct ImageValidatorTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func validate(_ path: String) throws -> ImageValidation {
        let found = try ImageValidator(scratch: scratch.path).validate(path)
        return found
    }

    private func places(_ fixture: ImageFixture) throws -> [String] {
        try validate(try fixture.writeLayout(scratch)).problems.map(\.place)
    }

    @Test func goodImagesAreValid() throws {
        let fixture = ImageFixture.small
        let paths = [
            try fixture.writeLayout(scratch), try scratch.file("layout.tar", fixture.layoutTar),
            try scratch.file("docker.tar", fixture.dockerTar), try scratch.file("image.aci", ImageFixture.aci([])),
        ]
        let found = try paths.map(validate)
        #expect(found.flatMap(\.problems) == [])
        #expect(found.map(\.kind) == [.layout, .layoutArchive, .dockerArchive, .appc])
        #expect(found.allSatisfy { $0.images.count == 1 })
        // Nothing stays.
        let names = try scratch.directory.names().filter { $0.hasPrefix("\(getpid())-") }
        #expect(names == [])
    }

    /// Wherever signatures are listed, they are no images that are wrong.
    @Test func signaturesBelongToAnImage() throws {
        var layout = SignedLayout()
        let signatures = try layout.signatures("example.com/app", .new)
        layout.add(signatures, SignedLayout.kind("sigs"))
        layout.addImage(SignedLayout.kind("image"))
        let found = try validate(try layout.write(scratch))
        #expect(found.problems == [])
        #expect(found.images.count == 1)
    }

    @Test func everyProblemOfALayoutIsNamed() throws {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("a", "b")]))
        fixture.layers.append(ImageFixture.Layer([.file("c", "d")]))
        let path = try fixture.writeLayout(scratch)
        let blobs = try Directory(path: "\(path)/blobs/sha256")
        let names = fixture.layers.map { ImageFixture.digest($0.blob).hex }
        try blobs.remove(names[0])
        var bytes = fixture.layers[1].blob
        bytes[700] ^= 1
        try blobs.write(names[1], bytes)
        try blobs.write(names[2], fixture.layers[2].blob + [0])
        try Directory(path: path).write("oci-layout", #"{"imageLayoutVersion":"2.0"}"#)
        let found = try validate(path)
        #expect(Set(found.problems.map(\.place)) == Set(["oci-layout"] + names.map { "blobs/sha256/\($0)" }))
    }

    @Test func aLayerOfAnotherContentIsFound() throws {
        var fixture = ImageFixture.small
        fixture.diffIDs = ["sha256:" + String(repeating: "0", count: 64)]
        #expect(try places(fixture) == ["blobs/sha256/\(ImageFixture.digest(fixture.layers[0].blob).hex)"])
    }

    @Test func oneLayerTooManyIsFound() throws {
        var fixture = ImageFixture.small
        fixture.diffIDs = []
        #expect(try places(fixture) == ["blobs/sha256/\(ImageFixture.digest(fixture.configBytes).hex)"])
    }

    @Test(arguments: [
        #""schemaVersion":1"#, #""schemaVersion":2,"x":{"#, #""schemaVersion":2,"schemaVersion":2"#,
    ])
    func aManifestThatIsNoneIsFound(_ text: String) throws {
        var fixture = ImageFixture.small
        fixture.editManifest = { $0.replacing(#""schemaVersion":2"#, with: text) }
        #expect(try places(fixture) == ["blobs/sha256/\(ImageFixture.digest(fixture.manifestBytes).hex)"])
    }

    @Test func anIndexThatIsNoneIsFound() throws {
        var fixture = ImageFixture.small
        fixture.editIndex = { String($0.dropLast()) }
        #expect(try places(fixture) == ["index.json"])
    }

    @Test func aBlobThatIsALinkOrAPipeIsFoundAndNotFollowed() throws {
        let fixture = ImageFixture.small
        let path = try fixture.writeLayout(scratch)
        let name = ImageFixture.digest(fixture.layers[0].blob).hex
        try scratch.shell("cd layout/blobs/sha256 && rm \(name) && mkfifo \(name)")
        #expect(try validate(path).problems.map(\.place) == ["blobs/sha256/\(name)"])
        try scratch.shell("cd layout/blobs/sha256 && rm \(name) && ln -s /etc/passwd \(name)")
        #expect(try validate(path).problems.map(\.message) == ["layer 1 is missing"])
    }

    @Test func anACIThatIsNoneIsFound() throws {
        func problems(_ bytes: [UInt8]) throws -> [String] {
            try validate(try scratch.file("image.aci", bytes)).problems.map(\.place)
        }
        #expect(try problems(ImageFixture.aci(name: "Not A Name", [])) == ["manifest"])
        #expect(try problems(ImageFixture.aci(more: #""acVersion":"1","#, [])) == ["manifest"])
        #expect(try problems(ImageFixture.aci([.file("other", "x")])) == ["archive"])
        let dangling = ImageFixture.aci([.hardLink("rootfs/a", to: "rootfs/missing")])
        #expect(try problems(dangling) == ["archive"])
        #expect(try problems(TarWriter.tar([.directory("rootfs")])) == ["manifest"])
        #expect(try problems(Array(ImageFixture.aci([]).prefix(1500))) == ["archive"])
    }

    @Test func whatLeadsOutOfALayerIsFound() throws {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("../../escape", "x")]))
        let found = try validate(try fixture.writeLayout(scratch))
        #expect(found.problems.count == 1)
        #expect(found.problems.first?.message.contains("..") == true)
        #expect(!scratch.directory.contains("escape"))
    }

    @Test func whatIsNoImageIsSaidToBeNone() throws {
        let text = try validate(try scratch.file("text", Array("hello".utf8)))
        #expect(text.kind == nil)
        // What is no archive was not cut off either.
        #expect(text.problems.map(\.message).allSatisfy { !$0.contains("cut off") } && !text.problems.isEmpty)
        #expect(try validate(try scratch.file("tar", TarWriter.tar([.file("a", "b")]))).problems.count == 1)
        #expect(try validate(scratch.path).problems.map(\.place) == ["oci-layout", "index.json"])
        #expect(throws: RktError.self) { try validate("/dev/null") }
        #expect(throws: RktError.self) { try validate("\(scratch.path)/none") }
    }
}
