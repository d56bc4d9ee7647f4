internal import Crypto
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
    /// What it is called, lower-case hex: of OpenPGP the primary key's fingerprint (40 digits, or 64), of sigstore the SHA-256
    /// of the key's DER form.
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
        if contents.contains(text: "-----BEGIN PUBLIC KEY-----") {
            let key = try PEMPublicKey(contents, name: path)
            kind = .sigstore
            fingerprint = key.fingerprint
            self.contents = key.text
        } else if contents.contains(text: "PRIVATE KEY-----") || contents.contains(text: "PRIVATE KEY BLOCK-----") {
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
        case .sigstore: (try? PEMPublicKey(contents, name: path)).map { [$0.algorithm] } ?? []
        }
    }

    /// The fingerprints of an OpenPGP key's subkeys.
    public var subkeyFingerprints: [String] {
        kind == .openPGP ? (try? PGPKey(contents, name: path).subkeys) ?? [] : []
    }
}

/// A public key in PEM's form (`SubjectPublicKeyInfo`).
struct PEMPublicKey {
    /// The SHA-256 of the DER form, lower-case hex.
    let fingerprint: String
    /// The text form, without anything around it.
    let text: [UInt8]
    /// What the key is for.
    let algorithm: String

    private static let label = "PUBLIC KEY"
    private static let sizeLimit = 8 << 10

    init(_ contents: [UInt8], name: String) throws {
        let der = try PGPArmor.block(contents, label: Self.label, name: "key \(name)")
        guard der.count <= Self.sizeLimit, let algorithm = Self.algorithm(of: der) else {
            throw RktError(
                .unsupported,
                "key \(name) is no public key in PEM's form of ECDSA, Ed25519, or RSA of 2048 bits or more"
            )
        }
        self.algorithm = algorithm
        fingerprint = PGPKey.hex(SHA256.hash(data: der))
        var lines = ["-----BEGIN \(Self.label)-----"]
        let digits = Base64.encode(der)
        for start in stride(from: 0, to: digits.count, by: 64) {
            lines.append(String(decoding: digits[start..<min(start + 64, digits.count)], as: UTF8.self))
        }
        text = Array((lines + ["-----END \(Self.label)-----", ""]).joined(separator: "\n").utf8)
    }

    /// What a key in DER form is for; nil when it is none of those that sign images.
    private static func algorithm(of der: [UInt8]) -> String? {
        guard let outer = body(0x30, der[...]), outer.rest.isEmpty, let identifier = body(0x30, outer.body),
            let key = body(0x03, identifier.rest), key.rest.isEmpty, key.body.first == 0, key.body.count > 1,
            let name = body(0x06, identifier.body)
        else { return nil }
        switch Array(name.body) {
        case [0x2B, 0x65, 0x70]: return key.body.count == 33 ? "Ed25519" : nil
        case [0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01]: return key.body.count > 260 ? "RSA" : nil
        case [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01]:
            guard let curve = body(0x06, name.rest) else { return nil }
            switch Array(curve.body) {
            case [0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07]: return "ECDSA P-256"
            case [0x2B, 0x81, 0x04, 0x00, 0x22]: return "ECDSA P-384"
            case [0x2B, 0x81, 0x04, 0x00, 0x23]: return "ECDSA P-521"
            default: return nil
            }
        default: return nil
        }
    }

    /// The body of a DER value with a tag, and what follows it.
    private static func body(
        _ tag: UInt8,
        _ bytes: ArraySlice<UInt8>
    ) -> (body: ArraySlice<UInt8>, rest: ArraySlice<UInt8>)? {
        var rest = bytes
        guard rest.popFirst() == tag, let first = rest.popFirst() else { return nil }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...2).contains(count), rest.count >= count else { return nil }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard length <= rest.count else { return nil }
        return (rest.prefix(length), rest.dropFirst(length))
    }
}

extension [UInt8] {
    /// Whether a text is in there.
    fileprivate func contains(text: String) -> Bool {
        let wanted = Array(text.utf8)
        guard count >= wanted.count else { return false }
        return (0...(count - wanted.count)).contains {
            self[$0] == wanted[0] && self[$0..<($0 + wanted.count)].elementsEqual(wanted)
        }
    }
}
