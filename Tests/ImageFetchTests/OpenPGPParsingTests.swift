import Diagnostics
import Glibc
import LinuxOS
import Testing

@testable import ImageFetch

/// What is read of OpenPGP's data, and of what gpgv says, whoever wrote it.
@Suite struct OpenPGPParsingTests {
    private static let key = "0123456789abcdef0123456789abcdef01234567"
    private static let valid = "VALIDSIG \(key.uppercased()) 2026-01-01 1767225600 0 4 0 22 8 00 \(key.uppercased())"

    private func outcomes(_ lines: [String], allowed: Set<String> = [key]) -> [SignatureStatus.Outcome] {
        SignatureStatus(lines.map { "[GNUPG:] \($0)\n" }.joined(), allowed: allowed).outcomes
    }

    @Test func aGoodSignatureIsOneOfATrustedPrimaryKey() {
        let good = ["NEWSIG", "GOODSIG 89abcdef01234567 Alice", Self.valid]
        #expect(outcomes(good) == [.good(primary: Self.key)])
        #expect(outcomes(good + good) == [.good(primary: Self.key), .good(primary: Self.key)])
        #expect(outcomes(good, allowed: []) == [.unknownKey(Self.key)])
        // The fingerprint of the key that signed is not the primary one's.
        let sub = Self.valid.replacing("VALIDSIG 0123", with: "VALIDSIG FFFF")
        #expect(outcomes(["NEWSIG", "GOODSIG 1 Alice", sub]) == [.good(primary: Self.key)])
        let primary = sub.replacing("00 0123", with: "00 FFFF")
        #expect(outcomes(["NEWSIG", "GOODSIG 1 Alice", primary]) != [.good(primary: Self.key)])
    }

    @Test(arguments: [
        (["GOODSIG 1 Alice", valid], []),
        (["NEWSIG", valid], [SignatureStatus.Outcome.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice"], [.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", valid, valid], [.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", "GOODSIG 1 Alice", valid], [.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", "NEWSIG", valid], [.unusable, .unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", valid.replacing(" 22 8 00", with: " 22 2 00")], [.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", valid.replacing(" 22 8 00", with: " 22 8 01")], [.unusable]),
        (["NEWSIG", "GOODSIG 1 Alice", "VALIDSIG \(key)"], [.unusable]),
        (["NEWSIG", "BADSIG 1 Alice", "GOODSIG 1 Alice", valid], [.bad]),
        (["NEWSIG", "REVKEYSIG 1 Alice", valid], [.revokedKey]),
        (["NEWSIG", "EXPKEYSIG 1 Alice", valid], [.expiredKey]),
        (["NEWSIG", "EXPSIG 1 Alice", valid], [.expired]),
        (["NEWSIG", "ERRSIG AB 22 8 00 1 9 CD", "NO_PUBKEY AB"], [.unknownKey("cd")]),
        (["NEWSIG", "ERRSIG AB 22 8 00 1 9"], [.unknownKey("ab")]),
        (["NEWSIG", "ERRSIG AB 99 8 00 1 4 CD"], [.unusable]),
    ]) func anythingElseIsNone(_ lines: [String], _ expected: [SignatureStatus.Outcome]) {
        #expect(outcomes(lines) == expected)
    }

    @Test func linesOfOthersAreNoLinesOfGpgv() {
        let text = "gpgv: [GNUPG:] NEWSIG\n [GNUPG:] GOODSIG 1 x\n[GNUPG:]\tVALIDSIG x\n"
        #expect(SignatureStatus(text, allowed: [Self.key]).outcomes.isEmpty)
    }

    @Test(.timeLimit(.minutes(10))) func aProgramThatEndsEarlyIsNotWaitedFor() throws {
        let megabyte = [UInt8](repeating: 0, count: 1 << 20)
        let error = #expect(throws: RktError.self) {
            try GnuPG.run("false", [], files: [[1]]) { stream in
                for _ in 0..<64 { try megabyte.withUnsafeBytes { try stream.send($0, name: "zeros") } }
            }
        }
        #expect(error?.errno == EPIPE || error?.errno == ECONNRESET)
    }

    /// A key of version 4 with a user ID, as far as it is read.
    private static func packets(_ identity: String) -> [UInt8] {
        let body: [UInt8] = [4, 0, 0, 0, 1, 22, 1, 2, 3]
        return [0xC6, UInt8(body.count)] + body + [0xCD, UInt8(identity.utf8.count)] + [UInt8](identity)
    }

    @Test func whatAKeySaysOfItselfCannotMoveACursor() throws {
        let key = try TrustedKey(Self.packets("Eve\u{1b}[2J\u{9b}1m\nAlice"), path: "x")
        #expect(key.identities == ["Eve?[2J?1m?Alice"])
    }

    @Test func textFormIsReadBackAsItWas() throws {
        func block(_ text: [UInt8]) throws -> [UInt8] { try PGPArmor.block(text, label: "X", name: "x") }
        for count in 1..<200 {
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255) }
            #expect(try block(PGPArmor.text(bytes, label: "X")) == bytes)
        }
        func block(ofBase64 body: String) throws -> [UInt8] {
            try block([UInt8]("-----BEGIN X-----\n\n\(body)\n-----END X-----\n".utf8))
        }
        #expect(try block(ofBase64: "AAAA") == [0, 0, 0])
        for wrong in ["A", "AA", "AAA", "A===", "====", "=AAA", "AA=A", "AB==", "AA==AAAA", "AAAA=", "AA A", "AAA-"] {
            #expect(throws: RktError.self, "\(wrong)") { try block(ofBase64: wrong) }
            #expect(throws: RktError.self, "\(wrong)") { try block(ofBase64: "AAAA\n=\(wrong)") }
        }
    }

    @Test func lengthsOfEveryFormAreRead() throws {
        func sizes(_ bytes: [UInt8]) throws -> [Int] { try PGPPacket.split(bytes, name: "x").map(\.body.count) }
        func filled(_ head: [UInt8], _ count: Int) -> [UInt8] { head + [UInt8](repeating: 0, count: count) }
        #expect(try sizes(filled([0xC2, 191], 191) + filled([0x88, 3], 3)) == [191, 3])
        #expect(try sizes(filled([0xC2, 192, 0], 192) + filled([0xC2, 223, 255], 8383)) == [192, 8383])
        #expect(try sizes(filled([0xC2, 255, 0, 0, 1, 0], 256) + filled([0x89, 1, 0], 256)) == [256, 256])
        #expect(try sizes(filled([0x8A, 0, 0, 0, 1], 1)) == [1])
        let wrong: [[UInt8]] = [
            [0xC2], [0xC2, 1], [0xC2, 224, 0], [0xC2, 255, 0xFF, 0xFF, 0xFF, 0xFF], [0x8B, 0], [0x42, 0], [0xC2, 192],
            [0x8A, 0x7F, 0xFF, 0xFF, 0xFF, 0],
        ]
        for bytes in wrong { #expect(throws: RktError.self, "\(bytes)") { try sizes(bytes) } }
    }

    @Test func damagedDataEndsInAnErrorOfOurs() throws {
        let key = Self.packets("Alice <alice@example.com>")
        for whole in [key, PGPArmor.text(key, label: PGPKey.label)] {
            for _ in 0..<3000 {
                var bytes = whole
                for _ in 0..<Int.random(in: 1...4) {
                    switch Int.random(in: 0..<3) {
                    case 0 where !bytes.isEmpty: bytes[Int.random(in: bytes.indices)] = UInt8.random(in: 0...255)
                    case 1: bytes.insert(UInt8.random(in: 0...255), at: Int.random(in: 0...bytes.count))
                    default: bytes.removeLast(Int.random(in: 0...(bytes.count / 4)))
                    }
                }
                do {
                    let read = try TrustedKey(bytes, path: "x")
                    #expect(TrustedKey.isFingerprint(read.fingerprint))
                    // What was read is what is kept.
                    #expect(try TrustedKey(read.contents, path: "x").fingerprint == read.fingerprint)
                } catch is RktError {}
                do { _ = try PGPSignatures(bytes, name: "x") } catch is RktError {}
            }
        }
    }
}
