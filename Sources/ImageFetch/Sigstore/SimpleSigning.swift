internal import Diagnostics
package import Manifests

/// What is signed in cosign's classic form: "simple signing", JSON that names an image and its digest
/// (cosign's `SIGNATURE_SPEC.md`; containers-signature(5)).
package struct SimpleSigning: Equatable {
    /// The digest of the manifest or index.
    package let digest: Digest
    /// The image's name, as the signer gave it.
    package let name: String

    /// The media type of the layers that hold it.
    static let mediaType = "application/vnd.dev.cosign.simplesigning.v1+json"
    /// The annotation of such a layer that has the signature, in base64.
    static let signatureAnnotation = "dev.cosignproject.cosign/signature"
    private static let type = "cosign container image signature"

    /// Reads a payload whose signature is good.
    ///
    /// - Parameter bytes: The JSON text.
    /// - Throws: `RktError` with `invalidData` for another document, also one that says more that is critical.
    package init(_ bytes: [UInt8]) throws {
        let document = try StrictJSON.decode([String: JSONValue].self, from: bytes, name: "what is signed")
        guard Set(document.keys).isSubset(of: ["critical", "optional"]),
            case .object(let critical)? = document["critical"], Set(critical.keys) == ["type", "image", "identity"],
            critical["type"] == .string(Self.type),
            case .object(let image)? = critical["image"], image.count == 1,
            case .string(let digest)? = image["docker-manifest-digest"],
            case .object(let identity)? = critical["identity"], identity.count == 1,
            case .string(let name)? = identity["docker-reference"]
        else { throw RktError(.invalidData, "what is signed is not an image's name and digest in cosign's form") }
        self.digest = try Digest(digest)
        self.name = name
    }
}
