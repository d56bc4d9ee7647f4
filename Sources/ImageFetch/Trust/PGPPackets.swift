internal import Crypto
internal import Diagnostics
internal import Manifests

/// One packet of OpenPGP data (RFC 9580, 4).
struct PGPPacket {
    /// What a packet is.
    enum Tag: UInt8 {
        case signature = 2
        case secretKey = 5
        case publicKey = 6
        case secretSubkey = 7
        case marker = 10
        case trust = 12
        case userID = 13
        case publicSubkey = 14
        case userAttribute = 17
        case padding = 21
    }

    /// The number that says what it is.
    let tag: UInt8
    let body: ArraySlice<UInt8>

    /// More than any honest key or signature has.
    private static let countLimit = 20_000

    /// Splits data into its packets; what is in them stays unread.
    ///
    /// - Parameters:
    ///   - bytes: The data, in binary form.
    ///   - name: What it is, for errors.
    /// - Returns: The packets, whose bodies are all there.
    /// - Throws: `RktError` with `invalidData` for anything else, packets of unknown length among it.
    static func split(_ bytes: [UInt8], name: String) throws -> [PGPPacket] {
        var rest = bytes[...]
        var packets: [PGPPacket] = []
        while let first = rest.popFirst() {
            guard first & 0x80 != 0, packets.count < countLimit,
                let length = first & 0x40 != 0 ? newLength(&rest) : oldLength(first & 3, &rest),
                length <= rest.count
            else {
                throw RktError(.invalidData, "\(name) is no OpenPGP data, or damaged")
            }
            packets.append(
                PGPPacket(tag: first & 0x40 != 0 ? first & 0x3F : first >> 2 & 0xF, body: rest.prefix(length))
            )
            rest = rest.dropFirst(length)
        }
        return packets
    }

    private static func number(_ count: Int, _ rest: inout ArraySlice<UInt8>) -> Int? {
        guard rest.count >= count else { return nil }
        defer { rest = rest.dropFirst(count) }
        return rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
    }

    private static func oldLength(_ kind: UInt8, _ rest: inout ArraySlice<UInt8>) -> Int? {
        // The fourth kind goes on to the end of whatever there is: only streams need that.
        kind == 3 ? nil : number(1 << Int(kind), &rest)
    }

    private static func newLength(_ rest: inout ArraySlice<UInt8>) -> Int? {
        guard let first = number(1, &rest) else { return nil }
        switch first {
        case ..<192: return first
        case ..<224: return number(1, &rest).map { (first - 192) << 8 + $0 + 192 }
        case 255: return number(4, &rest)
        // A part of a packet: only streams need that.
        default: return nil
        }
    }
}

/// Detached signatures, looked at from outside: gpgv says whether they are good.
struct PGPSignatures {
    /// The binary form.
    let bytes: [UInt8]
    /// How many there are.
    let count: Int

    /// The most bytes of a file of signatures.
    static let sizeLimit = 128 << 10
    private static let countLimit = 16

    /// Reads a file of signatures, in binary or text form.
    ///
    /// - Parameters:
    ///   - contents: The file's content.
    ///   - name: What it is, for errors.
    /// - Throws: `RktError` with `invalidData` for what is anything but detached signatures of a file as it is: what is
    ///   signed must not be in there, nor anything that gpgv would have to decompress.
    init(_ contents: [UInt8], name: String) throws {
        guard contents.count <= Self.sizeLimit else {
            throw RktError(.limitExceeded, "signature \(name) is larger than \(Self.sizeLimit) bytes")
        }
        bytes = try PGPArmor.binary(contents, label: "PGP SIGNATURE", name: "signature \(name)")
        let packets = try PGPPacket.split(bytes, name: "signature \(name)")
        guard packets.allSatisfy({ $0.tag == PGPPacket.Tag.signature.rawValue }), !packets.isEmpty else {
            throw RktError(
                .invalidData,
                "signature \(name) is something else than detached signatures (gpg --detach-sign makes one)"
            )
        }
        guard packets.count <= Self.countLimit else {
            throw RktError(.limitExceeded, "signature \(name) has more than \(Self.countLimit) signatures")
        }
        // Version and type. One of a text does not tell different ends of lines apart.
        guard packets.allSatisfy({ ($0.body.first ?? 0) >= 4 && $0.body.dropFirst().first == 0 }) else {
            throw RktError(.invalidData, "signature \(name) is none of a binary file (gpg --detach-sign makes one)")
        }
        count = packets.count
    }
}

/// A public key, as far as it says what it is called; whether that is true of it, gpg and gpgv say.
struct PGPKey {
    /// The binary form.
    let bytes: [UInt8]
    /// The fingerprint of the primary key, lower-case hex.
    let fingerprint: String
    /// The fingerprints of the subkeys.
    let subkeys: [String]
    /// The user IDs; characters that do something are replaced.
    let identities: [String]

    /// What is around a key in text form.
    static let label = "PGP PUBLIC KEY BLOCK"

    /// Reads a file of one key, in binary or text form.
    ///
    /// - Parameters:
    ///   - contents: The file's content.
    ///   - name: What it is, for errors.
    /// - Throws: `RktError` with `invalidData` for what is none, for several keys, and for secret ones.
    init(_ contents: [UInt8], name: String) throws {
        bytes = try PGPArmor.binary(contents, label: Self.label, name: "key \(name)")
        let packets = try PGPPacket.split(bytes, name: "key \(name)")
        var subkeys: [String] = []
        var identities: [String] = []
        for packet in packets {
            switch PGPPacket.Tag(rawValue: packet.tag) {
            case .secretKey, .secretSubkey:
                throw RktError(.invalidData, "key \(name) is a secret key: give its public one (gpg --export)")
            case .publicSubkey: subkeys.append(try Self.fingerprint(packet.body, name: name))
            case .userID: identities.append(Self.printable(packet.body))
            case .publicKey, .signature, .userAttribute, .marker, .trust, .padding: break
            case nil: throw RktError(.invalidData, "key \(name) is none: it has OpenPGP data of another kind")
            }
        }
        let primary = packets.filter { $0.tag == PGPPacket.Tag.publicKey.rawValue }
        guard let first = primary.first, packets.first?.tag == PGPPacket.Tag.publicKey.rawValue else {
            throw RktError(.invalidData, "key \(name) has no public key")
        }
        guard primary.count == 1 else {
            throw RktError(.invalidData, "key \(name) has \(primary.count) keys: give each in a file of its own")
        }
        fingerprint = try Self.fingerprint(first.body, name: name)
        self.subkeys = subkeys
        self.identities = identities
    }

    /// The fingerprint of a key's packet (RFC 9580, 5.5.4).
    private static func fingerprint(_ body: ArraySlice<UInt8>, name: String) throws -> String {
        let size = body.count
        let short = [UInt8(size >> 8 & 0xFF), UInt8(size & 0xFF)]
        let long = [UInt8(size >> 24 & 0xFF), UInt8(size >> 16 & 0xFF)] + short
        switch body.first {
        case 4 where size <= 0xFFFF: return Insecure.SHA1.hash(data: [0x99] + short + body).hex
        case 5: return SHA256.hash(data: [0x9A] + long + body).hex
        case 6: return SHA256.hash(data: [0x9B] + long + body).hex
        case let version:
            throw RktError(
                .unsupported,
                "key \(name) is of version \(version ?? 0), which nobody should trust any more"
            )
        }
    }

    private static func printable(_ bytes: ArraySlice<UInt8>) -> String {
        let text = String(decoding: bytes.prefix(512), as: UTF8.self)
        return String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? "?" : $0 })
        )
    }
}
