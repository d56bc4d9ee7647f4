import Diagnostics
import FuzzTargets
import ImageFixtures
import ImageStore
import LinuxOS
import Testing

/// A short run of each fuzz target: its corpus, and mutations of it that are the same each time.
@Suite(.timeLimit(.minutes(10))) struct FuzzTests {
    /// The files of a corpus by name.
    private static func corpus(_ name: String) throws -> [(name: String, bytes: [UInt8])] {
        let directory = try Directory(path: "\(testDirectory)/Fuzz/Corpus/\(name)")
        return try directory.names().sorted().map { ($0, try directory.read($0, limit: 16 << 20)) }
    }

    @Test(arguments: FuzzTarget.all.map(\.name))
    func whateverComesTheReaderHolds(_ name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let corpus = try Self.corpus(name)
        #expect(corpus.count >= 3)
        for entry in corpus {
            #expect(throws: Never.self, "\(name)/\(entry.name)") { try target.run(entry.bytes) }
        }
        let originals = corpus.map(\.bytes).filter { $0.count < 64 << 10 }
        var mutator = Mutator(seed: 0x5eed)
        for round in 0..<target.shortRun {
            let bytes = mutator.mutate(originals[mutator.number(below: originals.count)], with: originals)
            do {
                try target.run(bytes)
            } catch {
                Issue.record("round \(round): \(error); the input: \(bytes)")
                return
            }
        }
    }

    /// The unpacker, which is C: `make fuzz` runs it with sanitizers, this runs it as it is, in its confined process.
    @Test(.enabled(if: isRoot, "unpacking needs root"))
    func whateverComesTheUnpackerStaysInside() throws {
        let scratch = try Scratch()
        let sentinel = try Directory.ensure(path: "\(scratch.path)/outside")
        try sentinel.write("file", "untouched")
        let corpus = try Self.corpus("unpacker").map { Array($0.bytes.dropFirst()) }
        var mutator = Mutator(seed: 0x7a12)
        var limits = ImageLimits()
        limits.unpackedBytes = 8 << 20
        limits.entries = 1000
        for round in 0..<corpus.count + 500 {
            var bytes = round < corpus.count ? corpus[round] : corpus[mutator.number(below: corpus.count)]
            if round >= corpus.count {
                bytes = mutator.mutate(bytes, with: corpus)
                if round % 4 != 0 { Mutator.mendChecksums(&bytes) }
            }
            let root = try Directory.ensure(path: "\(scratch.path)/root")
            do {
                let unpacker = try TarUnpacker(
                    round % 3 == 0 ? .aci : .layer,
                    into: root,
                    name: "a layer",
                    limits: limits
                )
                _ = try bytes.withUnsafeBytes { try unpacker.take($0) }
                #expect(try unpacker.finish().entries <= limits.entries)
            } catch let error as RktError {
                #expect("\(error)".hasPrefix("a layer"), "round \(round): \(error)")
                #expect(!"\(error)".contains("signal 11"), "round \(round): \(error)")
            }
            try scratch.directory.removeTree("root")
            #expect(try scratch.directory.names() == ["outside"])
            #expect(try sentinel.names() == ["file"])
            #expect(try sentinel.readText("file") == "untouched")
        }
    }
}
