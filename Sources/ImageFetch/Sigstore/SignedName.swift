internal import Diagnostics
internal import Manifests

/// What an image must be called for a signature to be about it.
///
/// Whoever has a registry can serve an image, signature and all, under another name than it was signed for: another
/// program, or a version that was replaced for its flaws. So the repository that the signature names must be the one that
/// is asked for, and if it names a tag, so must the tag be; with a repository alone (as cosign signs) the signer vouches
/// for all of its tags. A file is what its signature says, unless it gives itself another name.
struct SignedName {
    /// What the image is called: what is asked for, or all that a file calls it; empty where a file does not say.
    let references: [DockerReference]

    /// A name in a signature.
    struct Name {
        /// The name.
        let reference: DockerReference
        /// Whether the signer wrote a tag.
        let hasTag: Bool
    }

    /// Compares a name.
    ///
    /// - Parameters:
    ///   - text: The name in the signature: `HOST/REPOSITORY[:TAG][@DIGEST]`.
    ///   - digest: The digest that is signed.
    /// - Returns: The name.
    /// - Throws: `RktError` with `permissionDenied` when it is another one.
    func check(_ text: String, _ digest: Digest) throws -> Name {
        guard let signed = try? DockerReference(text) else {
            throw RktError(
                .permissionDenied,
                "it is for \(text.prefix(200).debugDescription), which is no image's name"
            )
        }
        let name = Name(reference: signed, hasTag: Self.hasTag(text))
        guard signed.digest == nil || signed.digest == digest else {
            throw RktError(.permissionDenied, "it is for \(text), not for \(digest)")
        }
        for reference in references {
            // Of what is named by its digest alone, any tag may have led there.
            let isOfTag = !name.hasTag || reference.tag == nil || signed.tag == reference.tag
            guard signed.repositoryName == reference.repositoryName, isOfTag else {
                throw RktError(.permissionDenied, "it is for \(text), not for \(reference)")
            }
        }
        return name
    }

    /// Whether a tag is written there.
    private static func hasTag(_ text: String) -> Bool {
        text.prefix { $0 != "@" }.split(separator: "/").last?.contains(":") ?? false
    }
}

extension DockerReference {
    /// `HOST[:PORT]/REPOSITORY`, as keys are trusted for.
    var repositoryName: String { "\(registry)/\(repository)" }
}
