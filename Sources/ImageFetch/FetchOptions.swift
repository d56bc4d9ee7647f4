internal import Diagnostics
public import ImageStore
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
    /// - Throws: `RktError` with `permissionDenied` naming the option, `unsupported` for a signature that was given.
    public func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification {
        if options.insecureImage {
            return ImageRecord.Verification(isVerified: false, detail: "insecure-options=image")
        }
        if let signature = options.signaturePath {
            throw RktError(
                .unsupported,
                "image \(path): checking the signature \(signature) is not supported yet (try --insecure-options=image)"
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
        ImageRecord.Verification(isVerified: false, detail: "installed with rkt")
    }
}
