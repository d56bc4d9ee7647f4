internal import Diagnostics

/// A public key whose signatures of images count.
public struct TrustedKey: Sendable, Hashable {
    /// What a key signs with.
    public enum Kind: String, Sendable {
        /// OpenPGP: detached signatures of ACIs.
        case openPGP = "openpgp"
        /// sigstore (cosign): signatures of manifests in registries and layouts.
        case sigstore
    }

    /// What it signs with.
    public let kind: Kind
    /// What it is called, lower-case hex: of OpenPGP the primary key's fingerprint (40 digits, or 64), of sigstore the
    /// SHA-256 of the key's DER form.
    public let fingerprint: String
    /// The key in text form.
    public let contents: [UInt8]
    /// Where it was read.
    public let path: String

    /// The most bytes of a key's file.
    public static let sizeLimit = 1 << 20

    /// Reads a key; what kind it is, its content says.
    ///
    /// - Parameters:
    ///   - contents: The content of its file.
    ///   - path: Where that was read.
    /// - Throws: `RktError` with `invalidData` for anything but one public key, `limitExceeded` for a large file.
    public init(_ contents: [UInt8], path: String) throws {
        guard contents.count <= Self.sizeLimit else {
            throw RktError(.limitExceeded, "key \(path) is larger than \(Self.sizeLimit) bytes")
        }
        self.path = path
        if contents.contains("-----BEGIN PUBLIC KEY-----".utf8) {
            let key = try SigstoreKey(pem: contents, name: "key \(path)")
            kind = .sigstore
            fingerprint = key.fingerprint
            self.contents = key.pem
        } else if contents.contains("PRIVATE KEY-----".utf8) || contents.contains("PRIVATE KEY BLOCK-----".utf8) {
            throw RktError(.invalidData, "key \(path) is a secret key: give its public one")
        } else {
            let key = try PGPKey(contents, name: path)
            kind = .openPGP
            fingerprint = key.fingerprint
            self.contents = PGPArmor.text(key.bytes, label: PGPKey.label)
        }
    }

    /// Whether a file's name may be that of a key: so many digits has a fingerprint.
    static func isFingerprint(_ name: String) -> Bool {
        [40, 64].contains(name.utf8.count) && name.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
    }

    /// Whom the key says it belongs to; of a sigstore key, what it is. Nobody has checked it.
    public var identities: [String] {
        switch kind {
        case .openPGP: (try? PGPKey(contents, name: path).identities) ?? []
        case .sigstore: (try? SigstoreKey(pem: contents, name: path)).map { [$0.algorithm] } ?? []
        }
    }

    /// The fingerprints of an OpenPGP key's subkeys.
    public var subkeyFingerprints: [String] {
        kind == .openPGP ? (try? PGPKey(contents, name: path).subkeys) ?? [] : []
    }
}
