import Diagnostics
import FoundationEssentials
import ImageFixtures
import ImageStore
import Manifests
import Synchronization

@testable import ImageFetch

/// Keys that are trusted for some repositories.
struct TestKeys: SigstoreKeySource {
    let keys: [SigstoreKey]
    /// Nil for all.
    var name: String?
    /// Whether they are trusted for the repository itself, and not for the beginning of its name.
    var isForRepository = true

    func sigstoreKeys(for name: String) -> [SigstoreKey] {
        guard self.name == nil || self.name == name else { return [] }
        return keys.map { key in
            var key = key
            key.isForRepository = isForRepository
            return key
        }
    }

    func allSigstoreKeys() -> [SigstoreKey] { keys }
}

/// A registry on loopback with one repository, `app`, that holds what a test puts there.
final class SignedRegistry: Sendable {
    typealias Answer = TestServer.Answer

    let server: TestServer
    private let content: Shared

    private final class Shared: Sendable {
        let answers = Mutex<[String: Answer]>([:])
    }

    init() throws {
        let shared = Shared()
        content = shared
        server = try TestServer { request, _ in
            shared.answers.withLock { $0[request.path] } ?? Answer(status: 404, body: Array("404 page not found".utf8))
        }
    }

    /// The repository's name.
    var name: String { "\(server.host)/app" }

    func set(_ path: String, _ answer: Answer) { content.answers.withLock { $0["/v2/app/\(path)"] = answer } }

    @discardableResult
    func addBlob(_ bytes: [UInt8], served: [UInt8]? = nil) -> Digest {
        let digest = ImageFixture.digest(bytes)
        set("blobs/\(digest)", Answer(body: served ?? bytes))
        return digest
    }

    @discardableResult
    func addManifest(_ bytes: [UInt8], tag: String? = nil, type: String = OCI.MediaType.manifest) -> Digest {
        let digest = ImageFixture.digest(bytes)
        let answer = Answer(headers: [("Content-Type", type)], body: bytes)
        set("manifests/\(digest)", answer)
        if let tag { set("manifests/\(tag)", answer) }
        return digest
    }

    /// Adds an image.
    @discardableResult
    func add(_ image: ImageFixture, tag: String? = nil) -> Digest {
        addBlob(image.configBytes)
        for layer in image.layers { addBlob(layer.blob) }
        return addManifest(image.manifestBytes, tag: tag)
    }

    /// Adds an index with an image for this platform and one for another.
    func addIndex(of image: ImageFixture, tag: String) -> Digest {
        let own = add(image)
        let entries = [
            (own, image.manifestBytes.count, image.platform.architecture), (ImageFixture.digest([1]), 1, "s390x"),
        ]
        let list = entries.map { digest, size, architecture in
            #"{"mediaType":"\#(OCI.MediaType.manifest)","digest":"\#(digest)","size":\#(size),"#
                + #""platform":{"os":"linux","architecture":"\#(architecture)"}}"#
        }
        let index =
            #"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.index)","manifests":[\#(list.joined(separator: ","))]}"#
        return addManifest(Array(index.utf8), tag: tag, type: OCI.MediaType.index)
    }

    // MARK: Signatures

    /// What cosign signs.
    static func payload(_ digest: Digest, _ name: String) -> String {
        #"{"critical":{"identity":{"docker-reference":"\#(name)"},"image":{"docker-manifest-digest":"\#(digest)"},"#
            + #""type":"cosign container image signature"},"optional":null}"#
    }

    static func descriptor(_ type: String, _ digest: Digest, _ size: Int, _ more: String = "") -> String {
        #"{"mediaType":"\#(type)","digest":"\#(digest)","size":\#(size)\#(more)}"#
    }

    /// A layer with a payload and its signature.
    func classicLayer(_ payload: String, _ signature: [UInt8]) -> String {
        let bytes = Array(payload.utf8)
        let text = Data(signature).base64EncodedString()
        return Self.descriptor(
            SimpleSigning.mediaType,
            addBlob(bytes),
            bytes.count,
            #","annotations":{"dev.cosignproject.cosign/signature":"\#(text)"}"#
        )
    }

    /// A manifest with signatures.
    static func manifest(_ layers: [String], config: String = OCI.MediaType.config, more: String = "") -> [UInt8] {
        let empty = descriptor(config, ImageFixture.digest([]), 0)
        return Array(
            (#"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.manifest)","config":\#(empty),"#
                + #""layers":[\#(layers.joined(separator: ","))]\#(more)}"#).utf8
        )
    }

    /// Signs as cosign and skopeo do, at a tag.
    func signByTag(_ digest: Digest, _ signer: TestSigner, name: String? = nil) throws {
        let payload = Self.payload(digest, name ?? self.name)
        let layer = classicLayer(payload, try signer.sign(Array(payload.utf8)))
        addManifest(Self.manifest([layer]), tag: "sha256-\(digest.hex).sig")
    }

    /// A list of what refers to something: each manifest and the type it is said to have.
    func referrers(_ manifests: [(bytes: [UInt8], type: String)], more: String = "") -> [UInt8] {
        let list = manifests.map { manifest in
            let digest = addManifest(manifest.bytes)
            let more = #","artifactType":"\#(manifest.type)"\#(more)"#
            return Self.descriptor(OCI.MediaType.manifest, digest, manifest.bytes.count, more)
        }
        return Array(#"{"schemaVersion":2,"manifests":[\#(list.joined(separator: ","))]}"#.utf8)
    }

    /// What cosign 3 signs.
    static func statement(_ digest: Digest) -> String {
        #"{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"\#(digest.hex)"}}],"#
            + #""predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}"#
    }

    /// A bundle as cosign 3 writes it.
    static func bundle(_ statement: String, _ signer: TestSigner) throws -> String {
        let type = "application/vnd.in-toto+json"
        let body = Array(statement.utf8)
        let signed = Array("DSSEv1 \(type.utf8.count) \(type) \(body.count) \(statement)".utf8)
        let signature = Data(try signer.sign(signed, ownHash: true)).base64EncodedString()
        return #"{"mediaType":"\#(SigstoreBundle.mediaType)","verificationMaterial":{"publicKey":{"hint":"x"}},"#
            + #""dsseEnvelope":{"payload":"\#(Data(body).base64EncodedString())","payloadType":"\#(type)","#
            + #""signatures":[{"sig":"\#(signature)"}]}}"#
    }

    /// A manifest with a bundle.
    func bundleManifest(_ bundle: String) -> [UInt8] {
        let bytes = Array(bundle.utf8)
        let layer = Self.descriptor(SigstoreBundle.mediaType, addBlob(bytes), bytes.count)
        return Self.manifest([layer], config: "application/vnd.oci.empty.v1+json")
    }
}
