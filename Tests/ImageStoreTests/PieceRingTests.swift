import Glibc
import LinuxOS
import Synchronization
import Testing

@testable import ImageStore

@Suite struct PieceRingTests {
    /// Nobody but whoever fills it can change it, so that what was hashed is what is unpacked.
    @Test func memoryIsHandedOverForReadingOnly() throws {
        let ring = try PieceRing(name: "x")
        _ = try ring.handOver { memory, _ in
            let size = 4096
            let shared = mmap(nil, size, PROT_READ, MAP_SHARED, memory, 0)
            #expect(shared != MAP_FAILED)
            #expect(mprotect(shared, size, PROT_READ | PROT_WRITE) == -1)
            #expect(mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED)
            #expect(madvise(shared, size, MADV_REMOVE) == -1)
            #expect(write(memory, "x", 1) == -1)
            munmap(shared, size)
            return 0
        }
    }

    @Test func endOfTheOtherSideIsNoError() throws {
        let ring = try PieceRing(name: "x")
        _ = try ring.handOver { _, _ in 0 }
        let bytes = [UInt8](repeating: 1, count: 3_000_000)
        #expect(try !bytes.withUnsafeBytes { try ring.put($0) })
    }

    /// Pieces of all sizes come out as they went in, however late they are let go of.
    @Test func piecesComeOutAsTheyWentIn() throws {
        let ring = try PieceRing(name: "x")
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: ($0 &* 2_654_435_761) >> 13) }
        var ends: [CInt] = [-1, -1]
        _ = try ring.handOver { memory, socket in
            ends = [dup(memory), dup(socket)]
            return 0
        }
        let (memory, socket) = (ends[0], ends[1])
        let taken = Taken()
        let join = try OwnThread.startJoined { taken.all(from: memory, socket) }
        var rest = bytes[...]
        for size in [1, 0, 4095, PieceRing.size, PieceRing.size + 1, 1_000_000, bytes.count] {
            #expect(try rest.prefix(size).withUnsafeBytes { try ring.put($0) })
            rest = rest.dropFirst(size)
        }
        ring.finish()
        join()
        close(memory)
        close(socket)
        #expect(taken.bytes == bytes)
    }
}

/// What came through a ring, to one who gives pieces back three at once.
private final class Taken: Sendable {
    private let content = Mutex<[UInt8]>([])

    var bytes: [UInt8] { content.withLock { $0 } }

    func all(from memory: CInt, _ socket: CInt) {
        var length: UInt32 = 0
        var index = 0
        while recv(socket, &length, 4, CInt(MSG_WAITALL)) == 4 {
            var piece = [UInt8](repeating: 0, count: Int(length))
            pread(memory, &piece, piece.count, off_t(index % PieceRing.count * PieceRing.size))
            content.withLock { $0 += piece }
            index += 1
            if index.isMultiple(of: 3) { send(socket, [0, 0, 0] as [UInt8], 3, CInt(MSG_NOSIGNAL)) }
        }
    }
}
