internal import Crypto
internal import CryptoExtras
internal import Diagnostics
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
    /// Whether it is trusted for the very repository that was asked about, and for nothing else.
    var isForRepository = false
    private let key: Key
    private let der: [UInt8]

    private static let label = "PUBLIC KEY"
    /// The most bytes of the DER form.
    private static let sizeLimit = 8 << 10
    /// What is before the key itself in one of Ed25519 (RFC 8410, 4).
    private static let ed25519Header: [UInt8] = [0x30, 0x2A, 0x30, 5, 6, 3, 0x2B, 0x65, 0x70, 3, 0x21, 0]

    /// Reads a key.
    ///
    /// - Parameters:
    ///   - pem: The PEM text, of one public key (RFC 7468, 13).
    ///   - name: What it is, for errors.
    /// - Throws: `RktError` with `invalidData` for what is no public key, `limitExceeded` for a large one, `unsupported` for one
    ///   of another kind.
    public init(pem: [UInt8], name: String) throws {
        der = try PGPArmor.block(pem, label: Self.label, name: name)
        guard der.count <= Self.sizeLimit else {
            throw RktError(.limitExceeded, "\(name) is larger than \(Self.sizeLimit) bytes")
        }
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
        } else if let found = try? _RSA.Signing.PublicKey(derRepresentation: der),
            // With something behind it, one key would have many fingerprints.
            found.derRepresentation.elementsEqual(der)
        {
            key = .rsa(found)
        } else {
            throw RktError(
                .unsupported,
                "\(name) is of a kind that is not supported (ECDSA on P-256, P-384 or P-521, Ed25519, and RSA of 2048 bits or "
                    + "more are)"
            )
        }
        fingerprint = SHA256.hash(data: der).hex
    }

    /// What the key is for.
    var algorithm: String {
        switch key {
        case .p256: "ECDSA P-256"
        case .p384: "ECDSA P-384"
        case .p521: "ECDSA P-521"
        case .ed25519: "Ed25519"
        case .rsa: "RSA"
        }
    }

    /// The PEM text, without anything around it.
    var pem: [UInt8] {
        Array("-----BEGIN \(Self.label)-----\n\(PGPArmor.lines(der))\n-----END \(Self.label)-----\n".utf8)
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

    /// The keys that may sign anything at all.
    ///
    /// - Returns: The keys, each once.
    /// - Throws: `RktError` naming a key that cannot be read or may not be trusted.
    func allSigstoreKeys() throws -> [SigstoreKey]
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

    /// There are none.
    ///
    /// - Returns: None.
    public func allSigstoreKeys() -> [SigstoreKey] { [] }
}

extension TrustedKeys: SigstoreKeySource {
    /// The keys of sigstore's kind that are trusted for a repository.
    ///
    /// - Parameter name: `HOST[:PORT]/REPOSITORY`.
    /// - Returns: The keys.
    /// - Throws: `RktError` as ``keys(for:)``.
    public func sigstoreKeys(for name: String) throws -> [SigstoreKey] {
        try keys(for: name).filter { $0.kind == .sigstore }.map { trusted in
            var key = try SigstoreKey(pem: trusted.contents, name: trusted.path)
            key.isForRepository = isFor(name, alone: trusted.fingerprint)
            return key
        }
    }

    /// The keys of sigstore's kind, whatever they are trusted for.
    ///
    /// - Returns: The keys, each once.
    /// - Throws: `RktError` as ``list()``.
    public func allSigstoreKeys() throws -> [SigstoreKey] {
        let keys = try list().compactMap(\.key).filter { $0.kind == .sigstore }
        let distinct = Dictionary(keys.map { ($0.fingerprint, $0) }) { first, _ in first }.values
        return try distinct.sorted { $0.fingerprint < $1.fingerprint }
            .map { try SigstoreKey(pem: $0.contents, name: $0.path) }
    }
}
