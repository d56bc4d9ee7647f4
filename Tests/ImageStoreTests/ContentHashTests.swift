import Manifests
import Testing

@testable import ImageStore

@Suite struct ContentHashTests {
    @Test func knownAnswers() throws {
        #expect(
            try ContentHash.digest(.sha256, of: Array("abc".utf8)).hex
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        )
        #expect(
            try ContentHash.digest(.sha512, of: []).hex.hasPrefix(
                "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921"
            )
        )
    }

    /// The buffer is used again for each piece, as readers do.
    @Test(arguments: [(Digest.Algorithm.sha256, Int64(0)), (.sha512, 0), (.sha512, 1 << 30)], [4096, 300_000])
    func laneHashesWhatWasThereWhenItWasTaken(kind: (algorithm: Digest.Algorithm, size: Int64), piece: Int) throws {
        let lane = HashLane(kind.algorithm, size: kind.size)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: piece, alignment: 1)
        defer { buffer.deallocate() }
        var whole: [UInt8] = []
        for round in 0..<(3 << 20) / piece {
            lane.settle()
            for index in 0..<piece { buffer[index] = UInt8(truncatingIfNeeded: index &* 31 &+ round) }
            whole += buffer
            lane.update(UnsafeRawBufferPointer(buffer))
        }
        #expect(try lane.finish() == ContentHash.digest(kind.algorithm, of: whole))
    }

    /// What takes another way for much content makes the same digests, also of nothing and of copies.
    @Test(arguments: [0, 1, 111, 112, 127, 128, 129, 5000])
    func muchContentHasTheSameDigests(count: Int) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        var hash = ContentHash(.sha512, size: 1 << 30)
        bytes.withUnsafeBytes { hash.update($0) }
        let copy = hash
        #expect(try copy.finish() == ContentHash.digest(.sha512, of: bytes))
        bytes.withUnsafeBytes { hash.update($0) }
        #expect(try hash.finish() == ContentHash.digest(.sha512, of: bytes + bytes))
    }
}
