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
        var check = try SignatureCheck(keys, references: [reference], source: RegistrySignatures(client: client))
        // Without keys it does not matter what is signed, and nobody is asked.
        guard check.hasKeys else { throw refusal("no key is trusted for it", descriptor.digest) }
        let documents = try SignatureCheck.documents(bytes, descriptor, for: options.platform, name: origin)
        if let found = check.run(documents) { return ImageRecord.Verification(found, origin: origin) }
        let problems = check.problems
        let hint = problems.isEmpty ? "" : ", and what there is of signatures does not count: --debug says why"
        let refused = refusal("no key that is trusted for it has signed it\(hint)", descriptor.digest)
        throw problems.isEmpty ? refused : refused.adding(problems.joined(separator: "; "))
    }

    private func refusal(_ why: String, _ digest: Digest) -> RktError {
        let repository = reference.repositoryName
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

    func attached(to digest: Digest, limit: Int) -> [SignaturePlace] {
        let tag = digest.signatureTag
        let place = SignaturePlace(name: "tag \(tag)") {
            do {
                return try client.manifest(tag, limit: limit, name: tag).bytes
            } catch let error as RktError where error.code == .notFound {
                return nil
            }
        }
        return [place]
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
