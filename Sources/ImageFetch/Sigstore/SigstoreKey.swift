internal import Crypto
internal import CryptoExtras
internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import Manifests

/// A public key that signs images, as sigstore's tools have it: of ECDSA on a curve of NIST's, Ed25519, or RSA.
public struct SigstoreKey: Sendable {
    private enum Key {
        case p256(P256.Signing.PublicKey)
        case p384(P384.Signing.PublicKey)
        case p521(P521.Signing.PublicKey)
        case ed25519(Curve25519.Signing.PublicKey)
        case rsa(_RSA.Signing.PublicKey)
    }

    /// The SHA-256 of the key (DER of its `SubjectPublicKeyInfo`), in lower-case hex.
    public let fingerprint: String
    private let key: Key

    private static let begin = "-----BEGIN PUBLIC KEY-----"
    private static let end = "-----END PUBLIC KEY-----"
    /// What is before the key itself in one of Ed25519 (RFC 8410, 4).
    private static let ed25519Header: [UInt8] = [0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0]

    /// Reads a key.
    ///
    /// - Parameters:
    ///   - pem: The PEM text, of one public key (RFC 7468, 13).
    ///   - name: What it is, for errors.
    /// - Throws: `RktError` with `invalidData` for what is no public key, `unsupported` for one of another kind.
    public init(pem: [UInt8], name: String) throws {
        let lines = String(decoding: pem, as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.trimming { $0 == " " || $0 == "\t" } }
        let starts = lines.indices.filter { lines[$0] == Self.begin }
        let ends = lines.indices.filter { lines[$0] == Self.end }
        guard starts.count == 1, ends.count == 1, starts[0] < ends[0],
            let data = Data(base64Encoded: lines[(starts[0] + 1)..<ends[0]].joined())
        else { throw RktError(.invalidData, "\(name) is not one public key in PEM (\(Self.begin))") }
        let der = [UInt8](data)
        if der.starts(with: Self.ed25519Header),
            let found = try? Curve25519.Signing.PublicKey(rawRepresentation: der.dropFirst(Self.ed25519Header.count))
        {
            key = .ed25519(found)
        } else if let found = try? P256.Signing.PublicKey(derRepresentation: der) {
            key = .p256(found)
        } else if let found = try? P384.Signing.PublicKey(derRepresentation: der) {
            key = .p384(found)
        } else if let found = try? P521.Signing.PublicKey(derRepresentation: der) {
            key = .p521(found)
        } else if let found = try? _RSA.Signing.PublicKey(derRepresentation: der) {
            key = .rsa(found)
        } else {
            throw RktError(
                .unsupported,
                "\(name) is a key of a kind that is not supported (ECDSA on P-256, P-384 or P-521, Ed25519, and RSA of 2048 "
                    + "bits or more are)"
            )
        }
        fingerprint = try ContentHash.digest(.sha256, of: der).hex
    }

    /// Whether this key has made a signature of a message.
    ///
    /// cosign and skopeo hash with SHA-256 whatever the curve is; newer tools with what fits the curve.
    ///
    /// - Parameters:
    ///   - signature: The signature; of ECDSA in DER.
    ///   - message: What is signed.
    /// - Returns: Whether it is good.
    func hasMade(_ signature: [UInt8], of message: [UInt8]) -> Bool {
        switch key {
        case .p256(let key):
            guard let signature = try? P256.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: message))
        case .p384(let key):
            guard let signature = try? P384.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: message))
                || key.isValidSignature(signature, for: SHA384.hash(data: message))
        case .p521(let key):
            guard let signature = try? P521.Signing.ECDSASignature(derRepresentation: signature) else { return false }
            return key.isValidSignature(signature, for: SHA256.hash(data: message))
                || key.isValidSignature(signature, for: SHA512.hash(data: message))
        case .ed25519(let key): return key.isValidSignature(signature, for: message)
        case .rsa(let key):
            // The padding that sigstore's tools use.
            let signature = _RSA.Signing.RSASignature(rawRepresentation: signature)
            return key.isValidSignature(signature, for: SHA256.hash(data: message), padding: .insecurePKCS1v1_5)
        }
    }
}

/// Says which keys may sign images.
public protocol SigstoreKeySource: Sendable {
    /// The keys that may sign what is in a repository.
    ///
    /// - Parameter name: `HOST[:PORT]/REPOSITORY`.
    /// - Returns: The keys.
    /// - Throws: `RktError` naming a key that cannot be read or may not be trusted.
    func sigstoreKeys(for name: String) throws -> [SigstoreKey]
}

/// Nobody is trusted.
public struct NoSigstoreKeys: SigstoreKeySource {
    /// Makes the source.
    public init() {}

    /// There are none.
    ///
    /// - Parameter name: Not asked.
    /// - Returns: None.
    public func sigstoreKeys(for name: String) -> [SigstoreKey] { [] }
}

extension TrustedKeys: SigstoreKeySource {
    /// The keys of sigstore's kind that are trusted for a repository.
    ///
    /// - Parameter name: `HOST[:PORT]/REPOSITORY`.
    /// - Returns: The keys.
    /// - Throws: `RktError` as ``keys(for:)``.
    public func sigstoreKeys(for name: String) throws -> [SigstoreKey] {
        try keys(for: name).filter { $0.kind == .sigstore }.map { try SigstoreKey(pem: $0.contents, name: $0.path) }
    }
}
