internal import Diagnostics
internal import ImageStore
internal import Manifests

/// Decides whether an image in an OCI layout may be used: when a trusted key has signed it, and the signature is in there too.
///
/// A file has no name that anybody but its maker gave it, so the image is what it was signed as; a name of a registry's that
/// the layout gives it must be that.
struct LayoutTrust {
    let layout: OCILayout
    let keys: any SigstoreKeySource
    let options: FetchOptions

    /// What is put on record.
    struct Decision {
        let verification: ImageRecord.Verification
        let names: [String]
        let sources: [ImageRecord.Source]
    }

    /// Decides.
    ///
    /// - Parameters:
    ///   - bytes: The manifest or index of the image, verified.
    ///   - descriptor: The layout's entry that leads to it.
    /// - Returns: What to put on record.
    /// - Throws: `RktError` with `permissionDenied` when it must not be used.
    func verify(_ bytes: [UInt8], _ descriptor: OCI.Descriptor) throws -> Decision {
        let references = try references(descriptor)
        let source = LayoutSignatures(layout, of: descriptor)
        let documents = try SignatureCheck.documents(bytes, descriptor, for: options.platform, name: layout.name)
        guard source.hasAny(of: documents.map(\.digest)) else {
            throw refusal("it is not signed: the layout holds no signature of \(descriptor.digest)", references)
        }
        var check = try SignatureCheck(keys, references: references, source: source)
        guard check.hasKeys else { throw refusal("it is signed, but no key is trusted for it", references) }
        guard let found = check.run(documents) else {
            let refused = refusal(
                "no key that is trusted for it has signed it: what the layout holds of signatures does not count, and --debug "
                    + "says why",
                references
            )
            throw refused.adding(check.problems.joined(separator: "; "))
        }
        return decision(found, references, descriptor)
    }

    /// The names in registries that the layout gives an image. Without a host it is a mark to find it by in the file: tools
    /// write tags there, and whatever their users want.
    private func references(_ descriptor: OCI.Descriptor) throws -> [DockerReference] {
        let names = descriptor.names.filter { name in
            guard let slash = name.firstIndex(of: "/") else { return false }
            let host = name[..<slash]
            return host.contains(".") || host.contains(":") || host == "localhost"
        }
        let references = try names.map { name in
            guard let reference = try? DockerReference(name) else {
                throw refusal("it is called \(name.prefix(200).debugDescription), which is no image's name", [])
            }
            guard descriptor.is(reference) else {
                throw refusal("it is called \(reference), which is another image", [])
            }
            return reference
        }
        guard Set(references.map(\.repositoryName)).count <= 1 else {
            throw refusal("it has the names of several images: \(names.joined(separator: ", "))", [])
        }
        return references
    }

    private func decision(
        _ found: SignatureCheck.Finding,
        _ references: [DockerReference],
        _ descriptor: OCI.Descriptor
    ) -> Decision {
        // Only what the signer says leads to the image from now on; a name of the layout's that agrees is one of its names.
        var signed: [String] = []
        if let name = found.name, name.hasTag, let tag = name.reference.tag {
            signed.append("\(name.reference.repositoryName):\(tag)")
        }
        if let repository = (found.name?.reference ?? references.first)?.repositoryName {
            signed.append("\(repository)@\(descriptor.digest)")
        }
        let given = references.map(\.source).filter { !signed.contains($0) }
        return Decision(
            verification: ImageRecord.Verification(found, origin: FileOrigin.of(layout.name)),
            names: given + signed,
            sources: signed.map { ImageRecord.Source(reference: $0, isVerified: true) }
        )
    }

    private func refusal(_ why: String, _ references: [DockerReference]) -> RktError {
        let repository = references.first?.repositoryName ?? "HOST/REPOSITORY"
        return RktError(
            .permissionDenied,
            "\(why) (trust the key of who signs it: rkt trust --prefix=\(repository) KEY; save it with its signatures, as "
                + "\"cosign save\" does; or take it as it is: --insecure-options=image)"
        )
    }
}

extension OCI.Descriptor {
    /// Whether a name can be this one's: with a digest it is of no other.
    func `is`(_ reference: DockerReference) -> Bool { reference.digest == nil || reference.digest == digest }
}

/// The signatures in an OCI layout. Its index lists them as cosign saves them, by their kind, or at their tags, where those
/// were copied too; or it has what refers to the image, with or without a list of that at its tag.
private struct LayoutSignatures: SignatureSource {
    private let layout: OCILayout
    private let image: OCI.Descriptor

    /// What cosign calls a manifest of signatures; it saves one image with those of it.
    private static let signatureKind = "sigs"

    init(_ layout: OCILayout, of image: OCI.Descriptor) {
        self.layout = layout
        self.image = image
    }

    /// Whether there is anything that may be a signature of one of these.
    func hasAny(of digests: [Digest]) -> Bool {
        digests.contains { !attached(to: $0, limit: 0).isEmpty || !lists(of: $0).isEmpty }
    }

    func attached(to digest: Digest, limit: Int) -> [SignaturePlace] {
        let tagged = entries(digest.signatureTag).filter { OCI.MediaType.isManifest($0.mediaType) }
        let kept = layout.index.manifests.filter {
            OCI.MediaType.isManifest($0.mediaType) && $0.cosignKind == Self.signatureKind && !tagged.contains($0)
        }
        // They do not say of which image they are, and only so many are read: those of its name first, then the newest.
        let names = Set(image.names)
        let (own, others) = (
            kept.filter { !names.isDisjoint(with: $0.names) }, kept.filter { names.isDisjoint(with: $0.names) }
        )
        let about = layout.referring.filter { $0.subject == digest }.map(\.referrer)
        return (tagged + about + own.reversed() + others.reversed()).map { entry in
            SignaturePlace(name: "signatures \(entry.digest)") { try layout.document(entry, limit: limit) }
        }
    }

    func referrers(of digest: Digest, limit: Int) throws -> [[UInt8]] {
        try lists(of: digest).map { try layout.document($0, limit: limit) }
    }

    private func lists(of digest: Digest) -> [OCI.Descriptor] {
        entries(digest.referrersTag).filter { OCI.MediaType.isIndex($0.mediaType) }
    }

    /// What is at a tag, which may have a repository before it.
    private func entries(_ tag: String) -> [OCI.Descriptor] {
        layout.index.manifests.filter { $0.names.contains { $0 == tag || $0.hasSuffix(":\(tag)") } }
    }

    func manifest(_ digest: Digest, limit: Int) throws -> [UInt8] { try layout.content(digest, limit: limit) }

    func blob(_ digest: Digest, limit: Int) throws -> [UInt8] { try layout.content(digest, limit: limit) }
}
