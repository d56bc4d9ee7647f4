internal import Diagnostics
internal import Glibc
public import ImageStore
public import LinuxOS
public import Manifests

/// Checks the OpenPGP signatures of ACIs, with gpgv and a keyring of just the keys that are trusted for the image.
public struct AppcSignatures: Sendable {
    /// Whom to trust.
    let keys: TrustedKeys
    private let report: @Sendable (_ identities: [String]) -> Void

    /// Makes a checker.
    ///
    /// - Parameters:
    ///   - keys: Whom to trust.
    ///   - report: Hears of each image with a good signature whose it is.
    public init(keys: TrustedKeys, report: @escaping @Sendable (_ identities: [String]) -> Void = { _ in }) {
        self.keys = keys
        self.report = report
    }

    /// Checks that a trusted key has signed an image.
    ///
    /// - Parameters:
    ///   - file: The ACI as it was published, a regular file; where it is read from stays as it is.
    ///   - signature: Its detached signatures, in binary or text form.
    ///   - name: The image's name, which says whose signatures count. An image whose name is not known yet must have it checked
    ///     against this one before it is used.
    ///   - digest: The SHA-512 of the bytes that are to be used, where others could write to the file meanwhile; nil when nobody can.
    ///   - origin: The address that the image came from.
    /// - Returns: What to put on record.
    /// - Throws: `RktError` with `permissionDenied` when no trusted key has signed it, or a signature is bad, `digestMismatch` when
    ///   the file changed, `missingDependency` without gpgv.
    public func verify(
        image file: borrowing OwnedFD,
        signature: [UInt8],
        name: String,
        digest: Digest? = nil,
        origin: String? = nil
    ) throws -> ImageRecord.Verification {
        let signatures = try PGPSignatures(signature, name: "of image \(name)")
        let trusted = try keys.keys(for: name).filter { $0.kind == .openPGP }
        let keyring = try trusted.flatMap { try PGPKey($0.contents, name: $0.path).bytes }
        var found: Digest?
        let raw = file.rawValue
        let answer = try GnuPG.run(
            "gpgv",
            [
                "--enable-special-filenames", "--keyring", "/proc/self/fd/\(GnuPG.firstFile)", "--",
                "-&\(GnuPG.firstFile + 1)", "-",
            ],
            files: [keyring, signatures.bytes]
        ) { found = try Self.feed(raw, name: name, to: $0) }
        let status = SignatureStatus(answer.status, allowed: Set(trusted.map(\.fingerprint)))
        // One that is bad says that somebody has changed the image or the signature, whoever else has signed; gpgv may stop there.
        if status.outcomes.contains(.bad) {
            throw RktError(
                .permissionDenied,
                "image \(name): its signature is bad: the image or the signature is not as it was when it was signed"
            )
        }
        guard let found, answer.isWhole, status.outcomes.count == signatures.count else {
            throw RktError(
                .failed,
                "gpgv has not checked all signatures of image \(name): it \(answer.ending) with "
                    + "\(status.outcomes.count) of \(signatures.count)"
            )
        }
        if let digest, digest != found {
            throw RktError(.digestMismatch, "image \(name) changed while it was read")
        }
        let signers = try Self.signers(status.outcomes, name: name, knowsKeys: !trusted.isEmpty)
        let identities = trusted.filter { signers.contains($0.fingerprint) }.flatMap { key in
            key.identities.isEmpty ? [key.fingerprint] : key.identities
        }
        report(identities)
        return ImageRecord.Verification(
            isVerified: true,
            detail: "signed by \(identities.first ?? signers[0])",
            signers: signers,
            origin: origin
        )
    }

    /// Whether one of these keys is trusted for an image now.
    func count(_ signers: [String], for name: String) throws -> Bool {
        try keys.keys(for: name).contains { signers.contains($0.fingerprint) }
    }

    /// Hands the whole file to gpgv, and says what it was.
    private static func feed(_ file: CInt, name: String, to stream: LocalStream) throws -> Digest? {
        var hash = ContentHash(.sha512)
        var offset: off_t = 0
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = try system("reading image \(name)") { pread(file, buffer.baseAddress, buffer.count, offset) }
            if count == 0 { return try hash.finish() }
            offset += off_t(count)
            let piece = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            hash.update(piece)
            do {
                try stream.send(piece, name: "image \(name)")
            } catch let error as RktError where error.errno == EPIPE || error.errno == ECONNRESET {
                // It has ended early, and its status says why.
                return nil
            }
        }
    }

    /// The trusted primary keys whose signatures are good.
    private static func signers(
        _ outcomes: [SignatureStatus.Outcome],
        name: String,
        knowsKeys: Bool
    ) throws -> [String] {
        func refused(_ why: String) -> RktError { RktError(.permissionDenied, "image \(name): \(why)") }
        let good = Set(outcomes.compactMap { if case .good(let primary) = $0 { primary } else { nil } })
        if !good.isEmpty { return good.sorted() }
        let hint = "rkt trust --prefix \"\(name)\""
        switch outcomes.first {
        case .unknownKey(let key):
            let none = knowsKeys ? "not one of those trusted for it" : "and no key is trusted for it"
            throw refused("it is signed by the key \(key), \(none) (to trust that one: \(hint))")
        case .revokedKey: throw refused("its signature is of a key that was revoked")
        case .expiredKey: throw refused("its signature is of a key that has expired (a renewed one: \(hint))")
        case .expired: throw refused("its signature has expired")
        default: throw refused("its signature cannot be relied upon: its algorithm is unknown or too weak")
        }
    }
}

extension GnuPG.Answer {
    /// Whether the program has ended by itself: 0 all good, 1 bad, 2 some unknown.
    fileprivate var isWhole: Bool {
        if case .exited(let status) = ending { status <= 2 } else { false }
    }
}
