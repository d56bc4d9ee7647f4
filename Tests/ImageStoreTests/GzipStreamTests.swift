import CLinux
import Glibc
import ImageFixtures
import Testing

@testable import ImageStore

/// The decoder of gzip, whatever the pieces are that its input comes in.
@Suite struct GzipStreamTests {
    private let scratch: Scratch

    init() throws {
        scratch = try Scratch()
        try ArchiveSupport.load()
    }

    private final class Source {
        let bytes: [UInt8]
        let piece: Int
        var position = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)

        init(_ bytes: [UInt8], piece: Int) {
            self.bytes = bytes
            self.piece = piece
        }

        deinit { buffer.deallocate() }
    }

    /// What comes out, or the error.
    private func inflate(_ bytes: [UInt8], piece: Int = 4096) throws -> Result<[UInt8], Failure> {
        let source = Source(bytes, piece: piece)
        let context = Unmanaged.passUnretained(source).toOpaque()
        let next: rkt_source = { context, bytes in
            guard let context else { return -1 }
            let source = Unmanaged<Source>.fromOpaque(context).takeUnretainedValue()
            let count = min(source.piece, source.bytes.count - source.position)
            // Each piece is where the one before was: nothing may be looked at twice.
            source.buffer.copyBytes(from: source.bytes[source.position..<source.position + count])
            source.position += count
            bytes.pointee = UnsafeRawPointer(source.buffer.baseAddress)
            return count
        }
        let decoder = try #require(rkt_decoder_new(CInt(RKT_COMPRESSION_GZIP), next, context))
        defer { rkt_decoder_free(decoder) }
        var whole: [UInt8] = []
        var piece: UnsafeRawPointer?
        while true {
            let count = rkt_decoder_next(decoder, &piece)
            if count < 0 { return .failure(Failure(words: String(cString: rkt_decoder_error(decoder)))) }
            if count == 0 { return .success(whole) }
            whole += UnsafeRawBufferPointer(start: piece, count: count)
        }
    }

    private struct Failure: Error {
        let words: String
    }

    private func compressed(_ bytes: [UInt8]) throws -> [UInt8] { try scratch.compressed(bytes, with: "gzip") }

    private static let noise = (0..<700_000).map { _ in UInt8.random(in: 0...255) }
    private static let text = Array(String(repeating: "all the same, all the same; ", count: 30_000).utf8)

    @Test(arguments: [1, 7, 4096, 1 << 16])
    func membersInARowAreOneStream(piece: Int) throws {
        let parts = piece == 1 ? [[], Array(Self.text.prefix(3000)), [1]] : [Self.noise, [], Self.text, [1]]
        let stream = try parts.flatMap { try compressed($0) }
        #expect(try inflate(stream, piece: piece).get() == parts.flatMap(\.self))
    }

    @Test(arguments: [
        [0], [UInt8](repeating: 0, count: 1024), [0x1f], [0x1f, 0x8b], [0x1f, 0x8b, 8, 0xe0], Array("junk".utf8),
    ])
    func whatFollowsIsNoPartOfIt(_ tail: [UInt8]) throws {
        for piece in [1, 4096] {
            #expect(try inflate(try compressed([1, 2, 3]) + tail, piece: piece).get() == [1, 2, 3])
        }
    }

    @Test func aCutStreamIsDamaged() throws {
        let whole = try compressed(Self.text)
        for count in [12, 100, whole.count / 2, whole.count - 9, whole.count - 8, whole.count - 1] {
            #expect(throws: Failure.self, "\(count) of \(whole.count) bytes") {
                try inflate(Array(whole.prefix(count))).get()
            }
        }
        // The second of two.
        #expect(throws: Failure.self) { try inflate(whole + whole.prefix(200)).get() }
    }

    /// The last 8 bytes are the checksum and the size.
    @Test(arguments: 1...8)
    func aWrongChecksumOrSizeIsDamage(_ place: Int) throws {
        var bytes = try compressed(Self.noise)
        bytes[bytes.count - place] ^= 0x10
        #expect(throws: Failure.self) { try inflate(bytes).get() }
    }

    @Test func damagedContentIsNeverTakenForTheContent() throws {
        let whole = try compressed(Array(Self.text.prefix(50_000)))
        for place in stride(from: 10, to: whole.count, by: 3) {
            var bytes = whole
            bytes[place] ^= 1 << UInt8(place % 8)
            if case .success(let content) = try inflate(bytes) { #expect(content == Array(Self.text.prefix(50_000))) }
        }
    }
}
