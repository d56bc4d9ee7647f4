internal import Diagnostics
internal import Glibc
public import ImageStore
internal import LinuxOS

/// Accepts an ACI in a file when a trusted key has signed it, and so an image in an OCI layout, whose signatures are in there;
/// what `docker save` writes, and all with `--insecure-options=image`, as ``UnsignedPolicy`` does.
public struct SignedImagePolicy: SignaturePolicy {
    private let signatures: AppcSignatures

    /// Makes the policy.
    ///
    /// - Parameter signatures: Checks signatures.
    public init(_ signatures: AppcSignatures) {
        self.signatures = signatures
    }

    /// The keys that ACIs are checked with too, unless no signature is wanted or one is given, which is of no layout.
    ///
    /// - Parameter options: What the user allows.
    /// - Returns: The keys.
    public func layoutKeys(_ options: FetchOptions) -> (any SigstoreKeySource)? {
        options.insecureImage || options.signaturePath != nil ? nil : signatures.keys
    }

    /// Decides about an image that holds no signatures.
    ///
    /// - Parameters:
    ///   - path: The file or layout.
    ///   - options: What the user allows.
    /// - Returns: What to put on record.
    /// - Throws: `RktError` as ``UnsignedPolicy/verify(path:options:)``.
    public func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification {
        try UnsignedPolicy().verify(path: path, options: options)
    }

    /// Reads the signature of an ACI: the one the user named, else `FILE.asc`.
    ///
    /// - Parameters:
    ///   - path: The ACI.
    ///   - options: What the user allows.
    /// - Returns: What decides once the ACI was read.
    /// - Throws: `RktError` with `permissionDenied` when there is no signature.
    public func appc(path: String, options: FetchOptions) throws -> AppcDecision {
        if options.insecureImage {
            let verification = try verify(path: path, options: options)
            return { _, _, _ in verification }
        }
        let beside = "\(path).asc"
        let signature: [UInt8]
        do {
            let path = options.signaturePath ?? beside
            signature = try UserFile.read(path, limit: PGPSignatures.sizeLimit, what: "signature")
        } catch let error as RktError where error.errno == ENOENT && options.signaturePath == nil {
            throw RktError(
                .permissionDenied,
                "image \(path) is not signed: there is no \(beside) (name its signature with --signature=FILE; or try "
                    + "--insecure-options=image)"
            )
        }
        return { [signatures] file, name, digest in
            try signatures.verify(
                image: file,
                signature: signature,
                name: name,
                digest: digest,
                origin: FileOrigin.of(path)
            )
        }
    }
}

/// The address of a file, for the record.
enum FileOrigin {
    /// The file's absolute path, without links.
    static func of(_ path: String) -> String {
        guard let found = realpath(path, nil) else { return path }
        defer { free(found) }
        return String(cString: found)
    }
}
