import Diagnostics
import Glibc
import ImageFixtures
import LinuxOS
import Manifests
import Testing

@testable import ImageFetch
@testable import ImageStore

/// What root makes of what members of the store's group have written. They may write what they like.
@Suite(.enabled(if: isRoot, "files of other users are needed"), .timeLimit(.minutes(10)))
struct StoreMembersTests {
    let scratch: Scratch
    let store: ImageStore

    private static let member: UInt32 = 12_345

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private static let options = FetchOptions(insecureImage: true)

    private func importImage(_ path: String) throws -> ImageRecord {
        try FileFetcher(store: store).fetch(path: path, options: Self.options)
    }

    /// An image as a member would have brought it: nothing unpacked, all files theirs.
    private func bring(
        _ fixture: ImageFixture = .small,
        _ edit: (inout ImageRecord) -> Void = { _ in }
    ) throws -> ImageRecord {
        var record = try importImage(try fixture.writeLayout(scratch))
        edit(&record)
        try store.write(record)
        try give()
        return record
    }

    /// All blobs and records become the member's.
    private func give() throws {
        try scratch.shell(
            "rm -rf store/layers/* && find store/blobs store/images -type f -exec chown \(Self.member) {} +"
        )
    }

    private func adopt(_ record: ImageRecord, as text: String? = nil, insecure: Bool = false) throws -> ImageRecord {
        let found = try store.image(matching: text ?? record.id)
        let options = FetchOptions(insecureImage: insecure)
        return try ImageAdoption(store: store).adopt(found, namedAs: text ?? record.id, options: options)
    }

    @Test func theRule() {
        #expect(ImageStore.isTrusted(owner: 0, by: 0))
        #expect(ImageStore.isTrusted(owner: 0, by: 7))
        #expect(ImageStore.isTrusted(owner: 7, by: 7))
        #expect(!ImageStore.isTrusted(owner: 7, by: 0))
        #expect(!ImageStore.isTrusted(owner: 7, by: 8))
        #expect(!ImageStore.isTrusted(owner: nil, by: 0))
    }

    @Test func theirWordIsNotTaken() throws {
        let record = try bring {
            $0.verification = ImageRecord.Verification(isVerified: true, detail: "signed by everybody")
            $0.sources = [ImageRecord.Source(reference: "docker.io/library/redis:latest", isVerified: true)]
            $0.owner = 0
        }
        let seen = try #require(try store.list().first)
        #expect(seen.owner == Self.member)
        #expect(!seen.isTrusted)
        #expect(!seen.verification.isVerified)
        #expect(try store.image(fetchedFrom: "docker.io/library/redis:latest", verified: false) == nil)
        let error = #expect(throws: RktError.self) { try store.image(matching: "example.com/app:1") }
        #expect(error?.code == .notFound)
        #expect("\(try #require(error))".contains(record.id))
        #expect(#expect(throws: RktError.self) { try store.layers(of: seen) }?.code == .permissionDenied)
        #expect(try store.part("layers").names().isEmpty)
    }

    @Test func anImageNamedByItsWholeIDBecomesRoots() throws {
        let record = try bring()
        let own = try adopt(record)
        #expect(own.id == record.id)
        #expect(own.isTrusted)
        #expect(own.names.isEmpty)
        #expect(!own.verification.isVerified)
        #expect(try store.layers(of: own).count == 1)
        #expect(store.hasOwnBlob(own.manifest, size: Int64(try store.readBlob(own.manifest).count)))
        #expect(try store.image(matching: record.id).isTrusted)
    }

    @Test func theStartOfAnIDSaysNothing() throws {
        let record = try bring()
        let start = String(record.id.prefix(20))
        #expect(#expect(throws: RktError.self) { try adopt(record, as: start) }?.code == .permissionDenied)
        #expect(try adopt(record, as: start, insecure: true).isTrusted)
    }

    @Test func anAppcImageBecomesRoots() throws {
        let path = try scratch.file("app.aci", ImageFixture.aci([.file("rootfs/x", "x")]))
        let record = try importImage(path)
        try give()
        let own = try adopt(record)
        #expect(own.id == record.id)
        #expect(own.isTrusted)
        #expect(try Directory(path: try #require(try store.layers(of: own).first).path).readText("x") == "x")
    }

    /// What a member may put where a blob was: other content of the same size, something that hangs, a way out.
    @Test(arguments: [
        "dd if=/dev/zero conv=notrunc bs=1 count=4 of=", "rm {} && mkfifo ", "rm {} && ln -s /etc/passwd ",
        "rm {} && mkdir ",
    ])
    func tamperedBlobsAreRefused(_ command: String) throws {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("content", "right")]))
        let record = try bring(fixture)
        for blob in [record.manifest, try #require(record.config), record.layers[1].blob] {
            let path = "store/blobs/sha256/\(blob.hex)"
            try scratch.shell("cp -r store kept")
            try scratch.shell(
                "(\(command.replacing("{}", with: path))\(path)) 2>/dev/null && chown -h \(Self.member) \(path)"
            )
            #expect(throws: RktError.self) { try adopt(record) }
            #expect(try store.part("layers").names().isEmpty)
            #expect(try store.list().allSatisfy { !$0.isTrusted })
            try scratch.shell("rm -rf store/blobs store/images && cp -a kept/blobs kept/images store && rm -rf kept")
            try give()
        }
    }

    @Test func aRecordThatNamesOtherPartsChangesNothing() throws {
        var wrong = ImageFixture.small
        wrong.layers.append(ImageFixture.Layer([.file("evil", "evil")]))
        let evil = try bring(wrong)
        let record = try bring {
            $0.config = evil.config
            $0.layers = evil.layers
        }
        let own = try adopt(record)
        #expect(own.layers.count == 1)
        #expect(own.config != evil.config)
    }

    /// Ids are digests: what is not does not even show up.
    @Test func aRecordWithTheWrongIDIsNone() throws {
        let evil = try importImage(
            try scratch.file("evil.aci", ImageFixture.aci(name: "example.com/evil", [.file("rootfs/x", "x")]))
        )
        let other = try importImage(try ImageFixture.small.writeLayout(scratch))
        for var record in [evil, other] {
            record.id = "\(record.id.prefix(7))" + String(repeating: "0", count: 64)
            try store.write(record)
        }
        try give()
        #expect(Set(try store.list().map(\.id)) == [evil.id, other.id])
    }

    @Test func whatIsNoRecordOfTheirsDisturbsNobody() throws {
        let record = try importImage(try ImageFixture.small.writeLayout(scratch))
        try scratch.shell(
            """
            cd store/images; echo '{' >sha256-1.json; mkfifo sha256-2.json; mkdir sha256-3.json; ln -s /etc/passwd sha256-4.json
            cp \(record.id).json sha256-5.json; chown -h \(Self.member) sha256-?.json
            """
        )
        #expect(try store.list().map(\.id) == [record.id])
        #expect(try store.image(matching: record.id.prefix(9).description).id == record.id)
        _ = try importImage(try ImageFixture.small.writeLayout(scratch))
    }

    @Test func theirACIsHaveNoNamesForRoot() throws {
        let record = try importImage(try scratch.file("app.aci", ImageFixture.aci([.file("rootfs/x", "x")])))
        let name = try AppcImageName("example.com/app")
        #expect(try store.image(named: name, verified: false)?.id == record.id)
        try give()
        #expect(try store.image(named: name, verified: false) == nil)
        #expect(#expect(throws: RktError.self) { try store.image(named: name) }?.code == .notFound)
    }

    /// What they say a layer consists of is not what is put where root's pods find it.
    @Test func nothingIsRepairedByTheirWord() throws {
        _ = try bring()
        let seen = try #require(try store.list().first)
        let error = #expect(throws: RktError.self) { try store.replaceLayer(seen.layers[0].diffID, of: seen) }
        #expect(error?.code == .permissionDenied)
        #expect(try store.part("layers").names().isEmpty)
    }

    @Test func oddNamesAndTimesOfTheirsAreNotShown() throws {
        let record = try bring {
            $0.names = ["good", "bad\nline", "bad\u{1b}[2J"]
            $0.importedAt = .max
        }
        try scratch.shell("touch -d @9999999999 store/images/\(record.id).json")
        let seen = try #require(try store.list().first)
        #expect(seen.names == ["good"])
        #expect(seen.importedAt <= ImageStore.now())
        #expect(try store.lastUsed(seen) == .max)
    }

    @Test func directoriesInTheWayOfRootAreRemoved() throws {
        let fixture = ImageFixture.small
        let digest = ImageFixture.digest(fixture.manifestBytes)
        try scratch.shell(
            """
            mkdir -p store/blobs/sha256/\(digest.hex)/x store/images/sha256-\(digest.hex).json/x
            chown -R \(Self.member) store/blobs/sha256/\(digest.hex) store/images/sha256-\(digest.hex).json
            """
        )
        let record = try importImage(try fixture.writeLayout(scratch))
        #expect(record.id == "sha256-\(digest.hex)")
        #expect(try store.verify([record]).damages.isEmpty)
    }

    @Test func aGroupsStoreIsTheirsToAddTo() throws {
        try scratch.shell(
            "chgrp \(Self.member) store && chmod 2750 store && chmod 755 store/blobs && chgrp 0 store/blobs"
        )
        _ = try ImageStore(root: store.root, create: true)
        for name in ["blobs", "blobs/sha256", "blobs/sha512", "images", "tmp"] {
            let status = try store.directory.status(of: name)
            #expect(status.gid == Self.member && status.mode == 0o3775, "\(name)")
        }
        #expect(try store.directory.status(of: "layers").mode & 0o777 == 0o700)
    }

    @Test func aStoreOfNobodysGroupStaysClosed() throws {
        #expect(try store.directory.status(of: "blobs").mode & 0o022 == 0)
    }
}
