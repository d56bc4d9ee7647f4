import Diagnostics
import ImageFetch
import ImageFixtures
import ImageStore
import LinuxOS
import Testing

/// Archives of every kind, cut off and changed at many places: each is either the image it was or refused, and nothing
/// outside the store changes.
@Suite(.timeLimit(.minutes(10))) struct HostileArchiveTests {
    private static let kinds = ["oci tar", "docker tar", "aci", "aci gzip", "aci xz", "oci zstd"]

    private func archive(_ kind: String, _ scratch: Scratch) throws -> [UInt8] {
        let aci = ImageFixture.aci([
            .directory("rootfs/a"), .file("rootfs/a/b", "content"), .link("rootfs/l", to: "/a"),
        ])
        switch kind {
        case "oci tar": return ImageFixture.small.layoutTar
        case "docker tar": return ImageFixture.small.dockerTar
        case "aci gzip": return try scratch.compressed(aci, with: "gzip")
        case "aci xz": return try scratch.compressed(aci, with: "xz")
        case "oci zstd": return try scratch.compressed(ImageFixture.small.layoutTar, with: "zstd")
        default: return aci
        }
    }

    private func store(_ scratch: Scratch) throws -> ImageStore {
        var limits = ImageLimits()
        limits.unpackedBytes = 64 << 20
        limits.blobBytes = 64 << 20
        return try ImageStore(root: "\(scratch.path)/store", create: true, limits: limits)
    }

    /// Fetches the bytes; an error must be one of ours that names the file.
    private func tryToFetch(_ bytes: [UInt8], _ store: ImageStore, _ scratch: Scratch) throws -> String? {
        let path = try scratch.file("archive", bytes)
        do {
            return try FileFetcher(store: store).fetch(
                file: path,
                reference: nil,
                options: FetchOptions(insecureImage: true)
            ).id
        } catch let error as RktError {
            #expect("\(error)".hasPrefix("cannot fetch image \(path)"))
            return nil
        }
    }

    @Test(arguments: HostileArchiveTests.kinds)
    func aTruncatedArchiveIsRefused(_ kind: String) throws {
        let scratch = try Scratch()
        let store = try store(scratch)
        let whole = try archive(kind, scratch)
        // The last 512 bytes of a tar are zeros that nobody misses.
        let end = kind.contains(" ") && !kind.hasSuffix("tar") ? whole.count : whole.count - 1024
        for length in stride(from: 0, to: end, by: max(1, end / 40)) {
            #expect(try tryToFetch(Array(whole[..<length]), store, scratch) == nil, "\(length) of \(whole.count) bytes")
        }
        #expect(try store.list().isEmpty)
        #expect(try scratch.directory.directory("store/tmp").names().isEmpty)
    }

    @Test(arguments: HostileArchiveTests.kinds)
    func aMutatedArchiveIsWhatItSaysOrRefused(_ kind: String) throws {
        let scratch = try Scratch()
        let store = try store(scratch)
        let whole = try archive(kind, scratch)
        try scratch.directory.write("sentinel", "untouched")
        var random = SplitMix(state: 0x5eed)
        for _ in 0..<120 {
            var bytes = whole
            for _ in 0...random.next() % 3 {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 4 {
                case 0: bytes[place] ^= UInt8(1 << (random.next() % 8))
                case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 2: bytes.removeSubrange(place..<min(bytes.count, place + Int(random.next() % 700)))
                default: bytes.insert(contentsOf: bytes[place..<min(bytes.count, place + 512)], at: place)
                }
                if bytes.isEmpty { bytes = [0] }
            }
            _ = try tryToFetch(bytes, store, scratch)
        }
        #expect(try store.verify(store.list()).damages.isEmpty)
        #expect(try scratch.directory.directory("store/tmp").names().isEmpty)
        #expect(try scratch.directory.readText("sentinel") == "untouched")
        let names = try scratch.directory.names().filter { !$0.hasPrefix("c-") }
        #expect(names == ["archive", "sentinel", "store"])
    }

    @Test(arguments: ["gzip", "bzip2", "xz", "zstd"])
    func aBombIsRefusedAtTheLimit(_ program: String) throws {
        let scratch = try Scratch()
        let store = try store(scratch)
        let large = ImageFixture.aci([.file("rootfs/x").with { $0.content = [UInt8](repeating: 0, count: 80 << 20) }])
        let path = try scratch.file("bomb", try scratch.compressed(large, with: program))
        let error = #expect(throws: RktError.self) {
            try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
        }
        #expect(error?.code == .limitExceeded)
        #expect(try store.list().isEmpty)
    }

    @Test func aRatioThatIsTooGoodIsRefused() throws {
        let scratch = try Scratch()
        var limits = ImageLimits()
        limits.ratioFloor = 1 << 20
        let store = try ImageStore(root: "\(scratch.path)/store", create: true, limits: limits)
        let large = ImageFixture.aci([.file("rootfs/x").with { $0.content = [UInt8](repeating: 0, count: 16 << 20) }])
        let path = try scratch.file("bomb", try scratch.compressed(large, with: "gzip"))
        let error = #expect(throws: RktError.self) {
            try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
        }
        #expect(error?.code == .limitExceeded)
        #expect("\(try #require(error))".contains("200 times its size"))
    }
}

/// Random numbers that are the same in each run.
private struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
