internal import Diagnostics
internal import FoundationEssentials
package import Manifests

/// A signature in sigstore's newer form (protobuf-specs, `sigstore_bundle.proto`, in JSON): a DSSE envelope around an
/// in-toto statement, as cosign 3 signs, or a signature of the manifest's bytes.
///
/// What else is in there, certificates and entries of transparency logs, says nothing to who has the key.
package struct SigstoreBundle: Decodable {
    struct Envelope: Decodable {
        struct Signature: Decodable {
            let sig: String
        }
        let payload: String
        let payloadType: String
        let signatures: [Signature]
    }

    struct MessageSignature: Decodable {
        let signature: String
    }

    let mediaType: String
    let dsseEnvelope: Envelope?
    let messageSignature: MessageSignature?

    /// The media type of the layers that hold it, and of artifacts that consist of one.
    static let mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
    /// What a bundle is about, as an annotation of the artifact says.
    static let predicateAnnotation = "dev.sigstore.bundle.predicateType"
    private static let statementType = "application/vnd.in-toto+json"

    /// What a signature in a bundle is of.
    package enum Content {
        /// A statement, and what of it is signed.
        case statement([UInt8], signed: [UInt8])
        /// The manifest's bytes.
        case document
    }

    /// Reads a bundle.
    ///
    /// - Parameter bytes: The JSON text.
    /// - Returns: The signature, and what it is of; neither is verified.
    /// - Throws: `RktError` with `invalidData` for what is no bundle, `unsupported` for one of another kind.
    package static func parse(_ bytes: [UInt8]) throws -> (signature: [UInt8], content: Content) {
        let bundle = try StrictJSON.decode(SigstoreBundle.self, from: bytes, name: "the bundle")
        guard bundle.mediaType == Self.mediaType else {
            throw RktError(.unsupported, "a bundle of the type \(bundle.mediaType.prefix(200).debugDescription)")
        }
        switch (bundle.dsseEnvelope, bundle.messageSignature) {
        case (let envelope?, nil):
            guard envelope.payloadType == statementType, envelope.signatures.count == 1 else {
                throw RktError(.unsupported, "a bundle that is not one signature of an in-toto statement")
            }
            let payload = try bytes64(envelope.payload)
            // What DSSE signs: the type and the statement, each after its length.
            let head = "DSSEv1 \(statementType.utf8.count) \(statementType) \(payload.count) "
            return (
                try bytes64(envelope.signatures[0].sig),
                .statement(payload, signed: Array(head.utf8) + payload)
            )
        case (nil, let message?): return (try bytes64(message.signature), .document)
        default: throw RktError(.invalidData, "a bundle with no signature, or with several kinds")
        }
    }

    /// Base64 of either alphabet: DSSE allows both.
    private static func bytes64(_ text: String) throws -> [UInt8] {
        let standard = String(text.map { $0 == "-" ? "+" : $0 == "_" ? "/" : $0 })
        guard let data = Data(base64Encoded: standard) else { throw RktError(.invalidData, "a bundle with bad base64") }
        return [UInt8](data)
    }
}

/// That an image is signed, in the form of an in-toto statement. As cosign writes it, it names no repository: it counts only
/// where the key is trusted for the repository itself.
package struct SignatureStatement: Decodable {
    package struct Subject: Decodable {
        let name: String?
        package let digest: [String: String]
    }

    let type: String
    let predicateType: String
    package let subject: [Subject]

    private enum CodingKeys: String, CodingKey {
        case type = "_type"
        case predicateType, subject
    }

    /// What cosign signs an image as. All else (how it was built, what is in it, that it has flaws) is no word for it.
    static let predicateType = "https://sigstore.dev/cosign/sign/v1"
    private static let types = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"]
    package static let subjectLimit = 64

    /// Reads a statement whose signature is good.
    ///
    /// - Parameter bytes: The JSON text.
    /// - Throws: `RktError` with `invalidData` for what is no statement, `unsupported` for one about something else.
    package init(_ bytes: [UInt8]) throws {
        self = try StrictJSON.decode(Self.self, from: bytes, name: "the statement")
        guard Self.types.contains(type) else { throw RktError(.invalidData, "it is no in-toto statement") }
        guard predicateType == Self.predicateType else {
            throw RktError(.unsupported, "it states \(predicateType.prefix(200).debugDescription), not a signature")
        }
        guard subject.count <= Self.subjectLimit else {
            throw RktError(.limitExceeded, "it is about more than \(Self.subjectLimit) images")
        }
    }

    /// The subjects with a digest.
    package func subjects(_ digest: Digest) -> [Subject] {
        subject.filter { $0.digest[digest.algorithm.rawValue] == digest.hex }
    }
}
