internal import Diagnostics
internal import Manifests

/// What an image must be called for a signature to be about it.
///
/// Whoever has a registry can serve an image, signature and all, under another name than it was signed for: another
/// program, or a version that was replaced for its flaws. So the repository that the signature names must be the one that
/// is asked for, and if it names a tag, so must the tag be; with a repository alone (as cosign signs) the signer vouches
/// for all of its tags.
struct SignedName {
    /// What is asked for.
    let reference: DockerReference

    /// Compares a name.
    ///
    /// - Parameters:
    ///   - text: The name in the signature: `HOST/REPOSITORY[:TAG][@DIGEST]`.
    ///   - digest: The digest that is signed.
    /// - Throws: `RktError` with `permissionDenied` when it is another one.
    func check(_ text: String, _ digest: Digest) throws {
        guard let signed = try? DockerReference(text) else {
            throw RktError(
                .permissionDenied,
                "it is for \(text.prefix(200).debugDescription), which is no image's name"
            )
        }
        let tag = reference.tag ?? "latest"
        guard signed.registry == reference.registry, signed.repository == reference.repository,
            !Self.hasTag(text) || signed.tag == tag, signed.digest == nil || signed.digest == digest
        else { throw RktError(.permissionDenied, "it is for \(text), not for \(reference)") }
    }

    /// Whether a tag is written there.
    private static func hasTag(_ text: String) -> Bool {
        text.prefix { $0 != "@" }.split(separator: "/").last?.contains(":") ?? false
    }
}
