import Crypto
import Diagnostics
import FoundationEssentials
import ImageFixtures
import Testing

@testable import ImageFetch

@Suite struct SigstoreKeyTests {
    private func error(_ pem: String) -> RktError? {
        #expect(throws: RktError.self) { try SigstoreKey(pem: Array(pem.utf8), name: "/etc/rkt/key") }
    }

    /// What OpenSSL has made of a key: `openssl pkey -pubout -outform DER | sha256sum`, and `openssl dgst -sha256 -sign`.
    @Test func aKeyAndASignatureOfOpenSSL() throws {
        let key = try SigstoreKey(pem: Array(Self.pem.utf8), name: "key")
        #expect(key.fingerprint == "a5b328f267199a68d65c2e98aeeed09b116d490a132304579d473aba05ca6118")
        let signature = [UInt8](try #require(Data(base64Encoded: Self.signature)))
        #expect(key.hasMade(signature, of: Array("hello".utf8)))
        #expect(!key.hasMade(signature, of: Array("hello!".utf8)))
        #expect(!key.hasMade(Array(signature.dropLast()), of: Array("hello".utf8)))
        #expect(!key.hasMade([], of: Array("hello".utf8)))
        // Around the key there may be text, and blanks at the ends of lines.
        let text = "A key\n\(Self.pem.replacing("\n", with: " \r\n"))\n"
        #expect(try SigstoreKey(pem: Array(text.utf8), name: "key").fingerprint == key.fingerprint)
    }

    @Test func eachKindHasItsSignatures() throws {
        let signers = TestSigner.all
        for (place, signer) in signers.enumerated() {
            let key = try signer.key()
            let message = Array("message".utf8)
            for ownHash in [true, false] {
                let signature = try signer.sign(message, ownHash: ownHash)
                #expect(key.hasMade(signature, of: message))
                #expect(!key.hasMade(signature, of: message + [0]))
                let other = try signers[(place + 1) % signers.count].key()
                #expect(!other.hasMade(signature, of: message))
            }
        }
    }

    @Test func whatIsNoKeyIsRefused() throws {
        let secret = Self.pem.replacing("PUBLIC", with: "PRIVATE")
        for pem in ["", "hello", "-----BEGIN PUBLIC KEY-----", Self.pem + Self.pem, secret] {
            #expect(error(pem)?.code == .invalidData)
        }
        let begin = "-----BEGIN PUBLIC KEY-----\n"
        let end = "\n-----END PUBLIC KEY-----\n"
        #expect(error("\(begin)!!!!\(end)")?.code == .invalidData)
        #expect(error("\(begin)AAAA\(end)")?.code == .unsupported)
        // A key of Ed25519 that is cut off, or too long.
        let key = Data([0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0])
        for count in [0, 31, 33] {
            let whole = key + Data(repeating: 9, count: count)
            #expect(error("\(begin)\(whole.base64EncodedString())\(end)")?.code == .unsupported)
        }
        // Something behind a key.
        for signer in TestSigner.all {
            let digits = signer.pem.split(separator: "\n").dropFirst().dropLast().joined()
            let whole = try #require(Data(base64Encoded: digits)) + [0]
            #expect(error("\(begin)\(whole.base64EncodedString())\(end)")?.code == .unsupported)
        }
        for pem in Self.others {
            let refusal = try #require(error(pem))
            #expect(refusal.code == .unsupported)
            #expect("\(refusal)".contains("/etc/rkt/key"))
        }
    }

    private static let pem = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAER8ew/ZUyU0CqoOZHUsBa6ku42oqF
        g2RjisFCR0Xx9lFVT+Z2WeNdEfQwAOsSS1ew7qafbE8ggzKaTv3ESwErFA==
        -----END PUBLIC KEY-----

        """
    private static let signature =
        "MEUCIEYDuBwGLn7XJ8lqOiCMIgl4YkkwKbXM8s/deXRpn6r8AiEAn0fSWFNpYnEkEYezdF9IZc5kxDNTWuZbjlas+JUiXUg="
    /// Of RSA with 1024 bits, and on another curve (secp256k1).
    private static let others = [
        """
        -----BEGIN PUBLIC KEY-----
        MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC/47kMp4Gh/lSdY/cIdA3J7C2M
        s+ym2WWsoe84ozi06p6rf1E7W/n+jYxL8mU+RykLzBctGoOYVyK32tb0aw32P8E9
        b8HuEK8HgDKFMsHFWGTTdaKd0nd8iahj/+stF9usu8GAChSjqm/KivDpY9TQUdRQ
        +ig+HXMhgaK7PwiJQQIDAQAB
        -----END PUBLIC KEY-----

        """,
        """
        -----BEGIN PUBLIC KEY-----
        MFYwEAYHKoZIzj0CAQYFK4EEAAoDQgAEOZzP2pRjqHZgpxIeucBOTHKudQqzDHyJ
        rTF+5mhh9BuGbLtPtlAgw3MSzeszjAgrbnHmkV4Ha7+1lVe41tYzJg==
        -----END PUBLIC KEY-----

        """,
    ]
}
