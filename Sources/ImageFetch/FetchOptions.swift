internal import Diagnostics
public import ImageStore
public import LinuxOS
public import Manifests

/// How an image is fetched.
public struct FetchOptions: Sendable {
    /// Whether an image that nobody signed is accepted (`--insecure-options=image`).
    public var insecureImage: Bool
    /// A detached signature of the image; nil to look beside it.
    public var signaturePath: String?
    /// What the image is to run on.
    public var platform: OCI.Platform
    /// Whether layers are unpacked while they are read, which saves reading them again; without root they are not.
    public var unpack: Bool

    /// Makes options.
    ///
    /// - Parameters:
    ///   - insecureImage: Whether an image that nobody signed is accepted.
    ///   - signaturePath: A detached signature of the image.
    ///   - platform: What the image is to run on.
    ///   - unpack: Whether layers are unpacked while they are read.
    public init(
        insecureImage: Bool = false,
        signaturePath: String? = nil,
        platform: OCI.Platform = .host,
        unpack: Bool = true
    ) {
        self.insecureImage = insecureImage
        self.signaturePath = signaturePath
        self.platform = platform
        self.unpack = unpack
    }
}

/// Decides whether an image may be trusted, before anything of it is stored.
public protocol SignaturePolicy: Sendable {
    /// Decides about an image in a file.
    ///
    /// - Parameters:
    ///   - path: The file or layout.
    ///   - options: What the user allows.
    /// - Returns: What to put on record.
    /// - Throws: `RktError` with `permissionDenied` when the image must not be used.
    func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification

    /// Decides about an ACI in a file, whose name nobody knows before it was read.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - options: What the user allows.
    /// - Returns: What decides once the file was read, before anything of it is stored.
    /// - Throws: `RktError` with `permissionDenied` when it need not be read: it must not be used.
    func appc(path: String, options: FetchOptions) throws -> AppcDecision

    /// Whose signatures in an OCI layout count.
    ///
    /// - Parameter options: What the user allows.
    /// - Returns: The keys; nil where ``verify(path:options:)`` decides without looking for signatures.
    func layoutKeys(_ options: FetchOptions) -> (any SigstoreKeySource)?
}

/// Decides about an ACI that was read: the file, the image's name, and the SHA-512 of what was read of the file. Returns what to
/// put on record, or throws.
public typealias AppcDecision =
    @Sendable (_ file: borrowing OwnedFD, _ name: String, _ digest: Digest) throws -> ImageRecord.Verification

extension SignaturePolicy {
    /// Decides about an ACI as about any other file.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - options: What the user allows.
    /// - Returns: What was decided.
    /// - Throws: What ``verify(path:options:)`` throws.
    public func appc(path: String, options: FetchOptions) throws -> AppcDecision {
        let verification = try verify(path: path, options: options)
        return { _, _, _ in verification }
    }

    /// Looks for no signatures.
    ///
    /// - Parameter options: Not asked.
    /// - Returns: Nil.
    public func layoutKeys(_ options: FetchOptions) -> (any SigstoreKeySource)? { nil }
}

/// Accepts an image only when the user says that no signature is needed.
public struct UnsignedPolicy: SignaturePolicy {
    /// Makes the policy.
    public init() {}

    /// Accepts the image if `--insecure-options=image` is given.
    ///
    /// - Parameters:
    ///   - path: The file or layout.
    ///   - options: What the user allows.
    /// - Returns: What to put on record: not verified.
    /// - Throws: `RktError` with `permissionDenied` naming the option, `unsupported` for a signature that was given: only ACIs have such.
    public func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification {
        if options.insecureImage {
            return ImageRecord.Verification(
                isVerified: false,
                detail: "insecure-options=image",
                origin: FileOrigin.of(path)
            )
        }
        if let signature = options.signaturePath {
            throw RktError(
                .unsupported,
                "image \(path): it is no ACI, of which a file such as \(signature) could be the signature (try "
                    + "--insecure-options=image)"
            )
        }
        throw RktError(.permissionDenied, "image \(path) is not signed (try --insecure-options=image)")
    }
}

/// Accepts what was installed with this program and is trusted as it is.
public struct InstalledPolicy: SignaturePolicy {
    /// Makes the policy.
    public init() {}

    /// Accepts the image.
    ///
    /// - Parameters:
    ///   - path: The file.
    ///   - options: Not asked.
    /// - Returns: What to put on record: not verified.
    public func verify(path: String, options: FetchOptions) -> ImageRecord.Verification {
        ImageRecord.Verification(isVerified: false, detail: Self.detail, origin: FileOrigin.of(path))
    }

    private static let detail = "installed with rkt"

    /// Whether an image came into the store by this policy.
    ///
    /// - Parameter record: The image.
    /// - Returns: Whether it did, and nobody has vouched for it since.
    public static func accepted(_ record: ImageRecord) -> Bool { record.verification.detail == detail }
}
