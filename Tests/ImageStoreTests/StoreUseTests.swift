import Diagnostics
import Glibc
import ImageFetch
import ImageFixtures
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageStore

/// Removing, while others are at work.
@Suite(.timeLimit(.minutes(10))) struct StoreUseTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private func fixture(_ content: [UInt8]) -> ImageFixture {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("content").with { $0.content = content }]))
        return fixture
    }

    private func importImage(_ content: String) throws -> ImageRecord {
        let path = try fixture(Array(content.utf8)).writeLayout(scratch, "layout-\(content)")
        return try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
    }

    private func collect(_ layers: Set<Digest> = []) throws -> GarbageReport {
        try store.collectGarbage(grace: .zero, inUseLayers: layers, inUseImages: [])
    }

    @Test func whatAnImportHasBroughtStaysUntilItEnds() throws {
        let old = try importImage("old")
        var work: ImageImport? = try store.beginImport(unpack: false, progress: nil)
        let blob = try #require(try work?.add(Array("document".utf8)))
        let report = try collect()
        #expect(report.removedImages == [old.id])
        #expect(store.blobSize(old.manifest) == nil)
        #expect(store.blobSize(blob) != nil)
        work = nil
        #expect(try collect().removedImages.isEmpty)
        #expect(store.blobSize(blob) == nil)
    }

    @Test func whatAnImportFindsInTheStoreStays() throws {
        let old = try importImage("old")
        let work = try store.beginImport(unpack: false, progress: nil)
        let promise = ImageImport.Promise(
            digest: old.layers[1].blob,
            size: nil,
            diffID: old.layers[1].diffID,
            mediaType: nil,
            name: "layer"
        )
        #expect(work.stored(promise) != nil)
        try store.remove(old, inUseLayers: [])
        #expect(store.blobSize(old.layers[1].blob) != nil)
        #expect(store.blobSize(old.layers[0].blob) == nil)
        withExtendedLifetime(work) {}
    }

    @Test func nothingGoesWhileThereIsALease() throws {
        let one = try importImage("1")
        let lease = try store.lease()
        try store.remove(one, inUseLayers: [])
        #expect(try store.list().isEmpty)
        #expect(store.blobSize(one.layers[0].blob) != nil)
        lease.keepOnly([one.layers[1].diffID])
        let report = try collect()
        #expect(store.blobSize(one.manifest) == nil)
        if isRoot {
            #expect(report.removedLayers == [one.layers[0].diffID])
            #expect(try store.part("layers").names() == [one.layers[1].diffID.hex])
        }
        withExtendedLifetime(lease) {}
    }

    /// A user who comes when the removal has begun waits, and finds it gone.
    @Test func aRemovalIsNotOvertaken() throws {
        let one = try importImage("1")
        let claim = try RemovalClaim(store.directory)
        let digest = one.layers[0].blob
        #expect(try claim.take([digest]) == [digest])
        let lease = try StoreLease(store.directory)
        let other = try store.directory.open("uses")
        #expect(try !RangeLock.tryLock(.shared, digest.number...digest.number, other, name: "uses"))
        let free = one.layers[1].blob
        try lease.hold([free])
        #expect(try claim.take([free]).isEmpty)
        withExtendedLifetime(lease) {}
    }

    /// Another process removes the image that a reference has led to while the reference moves to another one.
    @Test(arguments: ["wrote record", "writing record without its name"])
    func whatIsRemovedWhileItsNameMovesIsWholeOrGone(moment: String) throws {
        let source = ImageRecord.Source(reference: "localhost/app:1", isVerified: false)
        func commit(_ record: ImageRecord, in store: ImageStore) throws {
            let work = try store.beginImport(unpack: false, progress: nil)
            var record = record
            record.sources = [source]
            _ = try work.commit(record)
        }
        try commit(try importImage("old"), in: store)
        let old = try #require(try store.list().first)
        let other = try ImageStore(root: store.root, create: true, limits: ImageLimits()) { [store] step in
            guard step == moment else { return }
            do { try store.remove(old, inUseLayers: []) } catch { Issue.record(error) }
        }
        try commit(try importImage("new"), in: other)
        let listed = try store.list()
        #expect(listed.contains { $0.id == old.id } == (moment != "wrote record"))
        #expect(listed.count { ($0.sources ?? []).contains(source) } == 1)
        #expect(try store.verify(listed).damages.isEmpty)
    }

    @Test func whatPodsUseStaysWhenTheImageIsRemoved() throws {
        let one = try importImage("1")
        try store.remove(one, inUseLayers: [one.layers[1].diffID])
        #expect(try store.list().isEmpty)
        guard isRoot else { return }
        #expect(try store.part("layers").names() == [one.layers[1].diffID.hex])
        #expect(try collect().removedLayers == [one.layers[1].diffID])
    }

    @Test(.enabled(if: isRoot, "unpacking needs root"))
    func theSpaceThatIsSaidToBeFreedIsFree() throws {
        let keep = try importImage("keep")
        let content = (0..<5_000_000).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 13) }
        let path = try fixture(content).writeLayout(scratch, "large")
        let large = try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
        func size() throws -> Int64 {
            try scratch.shell("du --summarize --block-size=1 \(store.root) >size")
            let text = try scratch.directory.readText("size")
            return try #require(Int64(text.prefix { $0.isNumber }))
        }
        let before = try size()
        let report = try store.remove(large, inUseLayers: [])
        let freed = before - (try size())
        #expect(freed >= 10_000_000)
        // The record and what directories grow by are not counted.
        #expect(abs(freed - report.bytesFreed) < 32_768, "\(freed) bytes, not \(report.bytesFreed)")
        #expect(try store.verify([keep]).damages.isEmpty)
    }

    // MARK: Once more

    /// Importing what is there already leaves all files as they are, but for the time of the last use.
    @Test func theSameImageAgainIsNotWrittenAgain() throws {
        let aci = ImageFixture.aci([.file("rootfs/x", "x")])
        let paths = [
            try scratch.file("x.aci", aci), try scratch.file("x.aci.gz", try scratch.compressed(aci, with: "gzip")),
        ]
        let options = FetchOptions(insecureImage: true)
        let first = try FileFetcher(store: store).fetch(path: paths[0], options: options)
        func inodes() throws -> [UInt64] {
            try [
                store.blobDirectory(.sha512).status(of: first.layers[0].blob.hex).identity.inode,
                store.part("images").status(of: "\(first.id).json").identity.inode,
            ]
        }
        let before = try inodes()
        try scratch.shell("touch -d @0 store/images/\(first.id).json")
        for path in paths { #expect(try FileFetcher(store: store).fetch(path: path, options: options) == first) }
        #expect(try inodes() == before)
        #expect(try store.lastUsed(first) > 0)
        // Another one of the same size is another one.
        let other = ImageFixture.aci([.file("rootfs/x", "y")])
        let second = try FileFetcher(store: store).fetch(path: try scratch.file("y.aci", other), options: options)
        #expect(second.id != first.id)
        if isRoot { #expect(try store.part("layers").names().count == 2) }
        // An older one becomes the newest.
        #expect(try FileFetcher(store: store).fetch(path: paths[0], options: options).importedAt > first.importedAt)
        #expect(try store.list().last?.id == first.id)
    }

    // MARK: Claims

    @Test func whatIsClaimedIsWaitedFor() throws {
        let digest = ImageFixture.digest([1])
        var first = try store.claim(.layer, digest, from: "a") { Issue.record("nobody has it") }
        #expect(first != nil)
        // Another digest, another kind and another place are another claim.
        _ = try store.claim(.layer, ImageFixture.digest([2]), from: "a") { Issue.record("nobody has it") }
        _ = try store.claim(.image, digest, from: "a") { Issue.record("nobody has it") }
        _ = try store.claim(.layer, digest, from: "b") { Issue.record("nobody has it") }
        let waiting = AtomicCount()
        let release = Release(first)
        first = nil
        _ = try store.claim(.layer, digest, from: "a") {
            _ = waiting.next()
            release.claim.withLock { $0 = nil }
        }
        #expect(waiting.next() == 2)
    }

    private final class Release: Sendable {
        let claim: Mutex<DownloadClaim?>

        init(_ claim: DownloadClaim?) { self.claim = Mutex(claim) }
    }

    @Test func aClaimEndsWithItsProcess() async throws {
        let root = store.root
        await #expect(processExitsWith: .signal(SIGKILL)) { [root = root as String] in
            let store = try ImageStore(root: root, create: true)
            let claim = try store.claim(.layer, ImageFixture.digest([1]), from: "a") {}
            try withExtendedLifetime(claim) { _ = try system("ending") { kill(getpid(), SIGKILL) } }
        }
        _ = try store.claim(.layer, ImageFixture.digest([1]), from: "a") { Issue.record("the dead have nothing") }
    }
}
