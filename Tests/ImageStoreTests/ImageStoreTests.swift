import CLinux
import Diagnostics
import Glibc
import ImageFetch
import ImageFixtures
import LinuxOS
import Manifests
import Testing

@testable import ImageStore

@Suite(.timeLimit(.minutes(10))) struct ImageStoreTests {
    let scratch: Scratch
    let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private static let options = FetchOptions(insecureImage: true)

    private func importImage(_ content: String, in store: ImageStore? = nil) throws -> ImageRecord {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("content", content)]))
        fixture.name = "example.com/app:\(content)"
        let path = try fixture.writeLayout(scratch, "layout-\(content)")
        return try FileFetcher(store: store ?? self.store).fetch(path: path, options: Self.options)
    }

    // MARK: Finding

    @Test func anImageIsFoundByIDAndName() throws {
        let one = try importImage("1")
        let two = try importImage("2")
        #expect(try store.list().map(\.id) == [one.id, two.id])
        #expect(try store.image(matching: one.id).id == one.id)
        #expect(try store.image(matching: "sha256:\(two.id.dropFirst(7).prefix(20))").id == two.id)
        #expect(try store.image(matching: "example.com/app:1").id == one.id)
        #expect(try store.image(matching: "example.com/app").id == two.id)
    }

    @Test(arguments: ["sha256-00", "example.com/app:9", "nothing", "../../etc"])
    func whatIsNotThereIsNotFound(_ text: String) throws {
        _ = try importImage("1")
        let error = #expect(throws: RktError.self) { try store.image(matching: text) }
        #expect(error?.code == .notFound)
    }

    @Test func aStoreThatIsNotThereIsNotMade() {
        let error = #expect(throws: RktError.self) { try ImageStore(root: "\(scratch.path)/none", create: false) }
        #expect(error?.code == .notFound)
    }

    /// It would keep all others from being listed.
    @Test func aRecordThatCouldNotBeReadAgainIsNotWritten() throws {
        let record = try importImage("1")
        let work = try store.beginImport(unpack: false, progress: nil)
        var large = record
        let name = String(repeating: "x", count: ImageRecord.nameLimit - 10)
        large.names += (0...(store.limits.manifestBytes / name.utf8.count)).map { "\($0)\(name)" }
        #expect(#expect(throws: RktError.self) { try work.commit(large) }?.code == .limitExceeded)
        #expect(try store.list() == [record])
    }

    @Test func aRecordFromTheFutureIsRefused() throws {
        let record = try importImage("1")
        let images = try store.part("images")
        let text = try images.readText("\(record.id).json").replacing("\"format\" : 1", with: "\"format\" : 2")
        try images.write("\(record.id).json", text)
        #expect(#expect(throws: RktError.self) { try store.list() }?.code == .unsupported)
    }

    // MARK: Removing

    @Test func removalTakesWhatNobodyElseNeeds() throws {
        let one = try importImage("1")
        let two = try importImage("2")
        try store.remove(one, inUseLayers: [])
        #expect(try store.list().map(\.id) == [two.id])
        #expect(store.blobSize(one.manifest) == nil)
        #expect(store.blobSize(one.layers[1].blob) == nil)
        // The lower layer is the same in both.
        #expect(store.blobSize(one.layers[0].blob) != nil)
        #expect(try store.verify([two]).damages.isEmpty)
    }

    @Test func garbageCollectionKeepsWhatIsUsed() throws {
        let one = try importImage("1")
        let two = try importImage("2")
        let report = try store.collectGarbage(
            grace: .zero,
            inUseLayers: [two.layers[1].diffID],
            inUseImages: [one.id]
        )
        #expect(report.removedImages == [two.id])
        #expect(report.bytesFreed > 0)
        #expect(try store.verify([one]).damages.isEmpty)
        guard isRoot else { return }
        let layers = try store.part("layers")
        #expect(Set(try layers.names()) == Set((one.layers + [two.layers[1]]).map(\.diffID.hex)))
        let last = try store.collectGarbage(grace: .zero, inUseLayers: [], inUseImages: [])
        #expect(last.removedImages == [one.id])
        #expect(last.removedLayers.count == 3)
        #expect(try layers.names().isEmpty)
    }

    @Test func garbageCollectionSparesTheRecentlyUsed() throws {
        _ = try importImage("1")
        let report = try store.collectGarbage(grace: .seconds(3600), inUseLayers: [], inUseImages: [])
        #expect(report.removedImages.isEmpty)
    }

    @Test func useIsRemembered() throws {
        let record = try importImage("1")
        try scratch.shell("touch -d @0 store/images/\(record.id).json")
        #expect(try store.lastUsed(record) == 0)
        store.markUsed(record)
        #expect(try store.lastUsed(record) > 0)
    }

    // MARK: Damage

    @Test func aDamagedBlobIsFound() throws {
        let record = try importImage("1")
        let blobs = try store.blobDirectory(.sha256)
        try blobs.write(record.layers[1].blob.hex, "damaged")
        #expect(try store.verify([record]).damages.contains { $0.object == .blob(record.layers[1].blob) })
        guard isRoot else { return }
        try store.part("layers").removeTree(record.layers[1].diffID.hex)
        #expect(throws: RktError.self) { try store.layers(of: record) }
        #expect(try !store.part("layers").contains(record.layers[1].diffID.hex))
    }

    @Test(.enabled(if: isRoot, "unpacking needs root"))
    func missingLayersComeBack() throws {
        let record = try importImage("1")
        let first = try store.layers(of: record)
        try store.part("layers").removeTree(record.layers[0].diffID.hex)
        try store.part("layers").removeTree(record.layers[1].diffID.hex)
        #expect(try store.layers(of: record) == first)
        #expect(try Directory(path: first[1].path).readText("content") == "1")
    }

    @Test func leftoversOfTheDeadAreRemovedAndThoseOfTheLivingStay() throws {
        let area = try store.part("tmp")
        try area.makeDirectory("dead")
        try area.directory("dead").write("x", "x")
        let living = try store.beginImport(unpack: false, progress: nil)
        _ = try importImage("1")
        #expect(try area.names().count == 1)
        #expect(try living.add(Array("blob".utf8)).hex.count == 64)
    }

    // MARK: Crashes

    private static let steps = [
        "syncing blob", "renaming blob", "renamed blob", "syncing layers", "renaming layer", "renamed layers",
        "writing record", "wrote record",
    ]

    /// Ends this process without any last words at the n-th time the store comes to a step.
    private static func storeThatDies(_ root: String, at step: String, _ time: Int) throws -> ImageStore {
        let count = AtomicCount()
        return try ImageStore(root: root, create: true, limits: ImageLimits()) { reached in
            if reached == step, count.next() == time { kill(getpid(), SIGKILL) }
        }
    }

    @Test(arguments: ImageStoreTests.steps, [1, 2])
    func whatIsListedAfterAKillIsComplete(_ step: String, _ time: Int) async throws {
        var fixture = ImageFixture.small
        fixture.layers.append(ImageFixture.Layer([.file("content", "x")]))
        let layout = try fixture.writeLayout(scratch)
        let root = store.root
        // The document of a record is written once, and without root there are no layers to unpack.
        let isRepeated = step.hasSuffix("blob") || step == "renaming layer"
        let happens = (time == 1 || isRepeated) && (isRoot || !step.contains("layer"))
        await #expect(processExitsWith: happens ? .signal(SIGKILL) : .success) {
            [root = root as String, layout = layout as String, step = step as String, time = time as Int] in
            let store = try ImageStoreTests.storeThatDies(root, at: step, time)
            _ = try FileFetcher(store: store).fetch(path: layout, options: FetchOptions(insecureImage: true))
        }
        for record in try store.list() {
            #expect(try store.verify([record]).damages.isEmpty)
            if isRoot { #expect(try store.layers(of: record).count == 2) }
        }
        // The next import is not disturbed by what was left, and clears it away.
        let record = try FileFetcher(store: store).fetch(path: layout, options: Self.options)
        #expect(try store.verify([record]).damages.isEmpty)
        #expect(try store.part("tmp").names().isEmpty)
    }

    @Test(arguments: ["unlisted", "removed blob", "moved layer away"])
    func aKilledCollectionLosesNothingThatIsListed(_ step: String) async throws {
        let one = try importImage("1")
        let two = try importImage("2")
        let root = store.root
        let id = one.id
        await #expect(processExitsWith: step == "moved layer away" && !isRoot ? .success : .signal(SIGKILL)) {
            [root = root as String, id = id as String, step = step as String] in
            let store = try ImageStoreTests.storeThatDies(root, at: step, 1)
            _ = try store.collectGarbage(grace: .zero, inUseLayers: [], inUseImages: [id])
        }
        #expect(try store.list().map(\.id).contains(two.id) == false)
        #expect(try store.verify([one]).damages.isEmpty)
        _ = try store.collectGarbage(grace: .zero, inUseLayers: [], inUseImages: [one.id])
        #expect(try store.part("tmp").names().isEmpty)
        #expect(store.blobSize(two.layers[1].blob) == nil)
    }

    // MARK: A full disk

    @Test(.enabled(if: isRoot, "mounting needs root"))
    func aFullDiskLeavesNothingVisible() async throws {
        var fixture = ImageFixture.small
        fixture.layers.append(
            ImageFixture.Layer([.file("large").with { $0.content = [UInt8](repeating: 1, count: 4 << 20) }])
        )
        let layout = try fixture.writeLayout(scratch)
        let root = "\(scratch.path)/small"
        _ = try Directory.ensure(path: root)
        await #expect(processExitsWith: .success) { [root = root as String, layout = layout as String] in
            // A mount namespace of this process: the mount goes with it.
            try system("unsharing") { rkt_unshare_mounts() }
            try system("mounting") { mount("tmpfs", root, "tmpfs", 0, "size=2m") }
            let store = try ImageStore(root: "\(root)/store", create: true)
            do {
                _ = try FileFetcher(store: store).fetch(path: layout, options: FetchOptions(insecureImage: true))
                exit(1)
            } catch let error as RktError {
                guard error.code == .noSpace else { exit(2) }
            }
            let layers = try store.part("layers").names()
            let left = try store.part("tmp").names()
            exit(try store.list().isEmpty && layers.isEmpty && left.isEmpty ? 0 : 3)
        }
    }

    // MARK: Several at once

    @Test func manyImportsOfTheSameImageAgree() throws {
        let layout = try ImageFixture.small.writeLayout(scratch)
        let root = store.root
        let records = try concurrently(Array(0..<8)) { _ in
            let store = try ImageStore(root: root, create: true)
            return try FileFetcher(store: store).fetch(path: layout, options: Self.options)
        }
        #expect(Set(records.map(\.id)).count == 1)
        #expect(try store.list().count == 1)
        #expect(try store.verify([records[0]]).damages.isEmpty)
        #expect(try store.part("tmp").names().isEmpty)
    }
}
