import Crypto
import CryptoExtras
import FoundationEssentials

@testable import ImageFetch

/// Who signs in tests.
enum TestSigner: Sendable {
    case p256(P256.Signing.PrivateKey)
    case p384(P384.Signing.PrivateKey)
    case p521(P521.Signing.PrivateKey)
    case ed25519(Curve25519.Signing.PrivateKey)
    case rsa(_RSA.Signing.PrivateKey)

    /// One of each kind.
    static let all: [TestSigner] =
        [.p256(.init()), .p384(.init()), .p521(.init()), .ed25519(.init())]
        + ((try? _RSA.Signing.PrivateKey(keySize: .bits2048)).map { [.rsa($0)] } ?? [])
    static var new: TestSigner { .p256(.init()) }

    var pem: String {
        switch self {
        case .p256(let key): return key.publicKey.pemRepresentation
        case .p384(let key): return key.publicKey.pemRepresentation
        case .p521(let key): return key.publicKey.pemRepresentation
        case .rsa(let key): return key.publicKey.pemRepresentation
        case .ed25519(let key):
            let der = [0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0] + key.publicKey.rawRepresentation
            return "-----BEGIN PUBLIC KEY-----\n\(Data(der).base64EncodedString())\n-----END PUBLIC KEY-----\n"
        }
    }

    func key() throws -> SigstoreKey { try SigstoreKey(pem: Array(pem.utf8), name: "a test's key") }

    /// As cosign does: with SHA-256 whatever the curve is, or with the curve's own.
    func sign(_ message: [UInt8], ownHash: Bool = false) throws -> [UInt8] {
        switch self {
        case .p256(let key): return [UInt8](try key.signature(for: message).derRepresentation)
        case .p384(let key):
            if ownHash { return [UInt8](try key.signature(for: message).derRepresentation) }
            return [UInt8](try key.signature(for: SHA256.hash(data: message)).derRepresentation)
        case .p521(let key):
            if ownHash { return [UInt8](try key.signature(for: message).derRepresentation) }
            return [UInt8](try key.signature(for: SHA256.hash(data: message)).derRepresentation)
        case .ed25519(let key): return [UInt8](try key.signature(for: message))
        case .rsa(let key):
            let digest = SHA256.hash(data: message)
            return [UInt8](try key.signature(for: digest, padding: .insecurePKCS1v1_5).rawRepresentation)
        }
    }
}
