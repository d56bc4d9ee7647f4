internal import Diagnostics
internal import ImageStore
internal import Manifests

/// Decides whether what a registry has sent may be used: when the reference pins it, when a trusted key has signed it, or
/// when the user says so.
struct RegistryTrust {
    let reference: DockerReference
    let keys: any SigstoreKeySource
    let client: RegistrySources

    /// Decides.
    ///
    /// - Parameters:
    ///   - bytes: What the reference has led to, a manifest or an index; the image is what it leads to.
    ///   - descriptor: Its digest and type.
    ///   - options: What the user allows.
    /// - Returns: What to put on record.
    /// - Throws: `RktError` with `permissionDenied` when it must not be used.
    func verify(
        _ bytes: [UInt8],
        _ descriptor: OCI.Descriptor,
        _ options: FetchOptions
    ) throws -> ImageRecord.Verification {
        let origin = "docker://\(reference)"
        if reference.digest != nil {
            return ImageRecord.Verification(isVerified: true, detail: "pinned by digest", origin: origin)
        }
        if options.insecureImage {
            return ImageRecord.Verification(isVerified: false, detail: "insecure-options=image", origin: origin)
        }
        let trusted = try keys.sigstoreKeys(for: "\(reference.registry)/\(reference.repository)")
        // Without them it does not matter what is signed, and nobody is asked.
        guard !trusted.isEmpty else { throw refusal("no key is trusted for it", descriptor.digest) }
        var check = SignatureCheck(keys: trusted, reference: reference, source: RegistrySignatures(client: client))
        for document in try documents(bytes, descriptor, options) {
            if let signer = check.signer(of: document) {
                return ImageRecord.Verification(
                    isVerified: true,
                    detail: "signed by sigstore key sha256:\(signer.fingerprint)",
                    signers: [signer.fingerprint],
                    origin: origin
                )
            }
        }
        let problems = check.problems
        let hint = problems.isEmpty ? "" : ", and what there is of signatures does not count: --debug says why"
        let refused = refusal("no key that is trusted for it has signed it\(hint)", descriptor.digest)
        throw problems.isEmpty ? refused : refused.adding(problems.joined(separator: "; "))
    }

    /// What a signature may be of: what the reference has led to, or what an index there has for the platform. Whichever it
    /// is, the image is what it names by digests.
    private func documents(
        _ bytes: [UInt8],
        _ descriptor: OCI.Descriptor,
        _ options: FetchOptions
    ) throws -> [SignatureCheck.Document] {
        let name = "docker://\(reference)"
        let top = SignatureCheck.Document(digest: descriptor.digest, bytes: bytes)
        switch try OCI.Document(bytes, mediaType: descriptor.mediaType, name: name) {
        case .manifest: return [top]
        case .index(let index):
            let selected = try index.select(for: options.platform, reference: nil, name: name)
            return [top, SignatureCheck.Document(digest: selected.digest, bytes: nil)]
        }
    }

    private func refusal(_ why: String, _ digest: Digest) -> RktError {
        let repository = "\(reference.registry)/\(reference.repository)"
        return RktError(
            .permissionDenied,
            "\(why) (trust the key of who signs it: rkt trust --prefix=\(repository) KEY; or pin what it is now: "
                + "docker://\(repository)@\(digest); or take it as it is: --insecure-options=image)"
        )
    }
}

/// The signatures in an image's repository.
private struct RegistrySignatures: SignatureSource {
    let client: RegistrySources

    func manifest(tag: String, limit: Int) throws -> [UInt8]? {
        do {
            return try client.manifest(tag, limit: limit, name: tag).bytes
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }

    func referrers(of digest: Digest, limit: Int) throws -> [[UInt8]] {
        try client.referrers(digest, limit: limit, name: "the list")
    }

    func manifest(_ digest: Digest, limit: Int) throws -> [UInt8] {
        try client.manifest("\(digest)", limit: limit, name: "\(digest)").bytes
    }

    func blob(_ digest: Digest, limit: Int) throws -> [UInt8] {
        try client.document(digest, limit: limit, name: "\(digest)")
    }
}
