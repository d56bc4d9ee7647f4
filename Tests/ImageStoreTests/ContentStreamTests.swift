import Diagnostics
import Glibc
import ImageFixtures
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageStore

@Suite struct ContentStreamTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// What would be in the digest, and in nothing that was unpacked.
    @Test(arguments: [false, true])
    func aFileThatGrowsBehindItsEndIsRefused(grows: Bool) throws {
        let bytes = [UInt8](repeating: 7, count: 4096)
        let path = try scratch.file("content", bytes)
        let file = try Directory(path: scratch.path).open("content")
        let reads = Mutex(0)
        let stream = ContentStream(
            source: file,
            name: "content",
            algorithms: (.sha256, [.sha256]),
            limits: ImageLimits(),
            progress: { _, _, _ in
                // The second read is the one that finds the end.
                let isEnd = reads.withLock { reads in
                    reads += 1
                    return reads == 2
                }
                guard grows, isEnd else { return }
                let raw = open(path, O_WRONLY | O_APPEND)
                write(raw, "more", 4)
                close(raw)
            }
        )
        if grows {
            let error = #expect(throws: RktError.self) { try stream.run(Compression.none) }
            #expect(error?.message == "content grew while it was read")
        } else {
            #expect(try stream.run(Compression.none).digest == ContentHash.digest(.sha256, of: bytes))
        }
        withExtendedLifetime(file.rawValue) {}
    }
}
