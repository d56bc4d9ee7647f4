import FoundationEssentials
import ImageFixtures
import LinuxOS
import Manifests

@testable import ImageFetch

/// An OCI layout with an image and what is said to be its signatures.
struct SignedLayout {
    let image: ImageFixture
    /// The entries of `index.json`, JSON.
    var entries: [String] = []
    private var blobs: [[UInt8]] = []

    /// The digest of the image's manifest.
    var digest: Digest { ImageFixture.digest(image.manifestBytes) }

    init(_ image: ImageFixture = .small) {
        self.image = image
    }

    /// An annotation for the name of an entry.
    static func named(_ name: String) -> [String: String] { ["org.opencontainers.image.ref.name": name] }

    /// An annotation as `cosign save` makes them.
    static func kind(_ kind: String) -> [String: String] { ["kind": "dev.cosignproject.cosign/\(kind)"] }

    @discardableResult
    mutating func addBlob(_ bytes: [UInt8]) -> Digest {
        blobs.append(bytes)
        return ImageFixture.digest(bytes)
    }

    /// Lists a document.
    mutating func add(
        _ bytes: [UInt8],
        _ annotations: [String: String] = [:],
        type: String = OCI.MediaType.manifest,
        more: String = ""
    ) {
        let list = annotations.sorted { $0.key < $1.key }.map { "\"\($0.key)\":\"\($0.value)\"" }
        let text = list.isEmpty ? "" : ",\"annotations\":{\(list.joined(separator: ","))}"
        entries.append(SignedRegistry.descriptor(type, addBlob(bytes), bytes.count, text + more))
    }

    /// Lists the image.
    mutating func addImage(_ annotations: [String: String] = [:]) { add(image.manifestBytes, annotations) }

    /// A layer with a payload and its signature.
    mutating func layer(_ payload: String, _ signature: [UInt8]) -> String {
        let text = Data(signature).base64EncodedString()
        return SignedRegistry.descriptor(
            SimpleSigning.mediaType,
            addBlob(Array(payload.utf8)),
            payload.utf8.count,
            #","annotations":{"dev.cosignproject.cosign/signature":"\#(text)"}"#
        )
    }

    /// A manifest with one signature in the classic form, of the image or of something else.
    mutating func signatures(
        _ name: String,
        _ signer: TestSigner,
        of digest: Digest? = nil,
        more: String = ""
    ) throws -> [UInt8] {
        let payload = SignedRegistry.payload(digest ?? self.digest, name)
        return SignedRegistry.manifest([layer(payload, try signer.sign(Array(payload.utf8)))], more: more)
    }

    /// A manifest with a bundle, which refers to the image.
    mutating func bundle(_ statement: String, _ signer: TestSigner) throws -> [UInt8] {
        let bytes = Array(try SignedRegistry.bundle(statement, signer).utf8)
        let layer = SignedRegistry.descriptor(SigstoreBundle.mediaType, addBlob(bytes), bytes.count)
        return SignedRegistry.manifest([layer], config: "application/vnd.oci.empty.v1+json", more: subject)
    }

    /// What a manifest says that refers to the image.
    var subject: String {
        let image = SignedRegistry.descriptor(OCI.MediaType.manifest, digest, image.manifestBytes.count)
        return ",\"subject\":\(image)"
    }

    /// The layout as `cosign save` writes it.
    static func saved(as name: String, by signer: TestSigner) throws -> SignedLayout {
        var layout = SignedLayout()
        layout.addImage(kind("image"))
        layout.add(try layout.signatures(name, signer), kind("sigs"))
        return layout
    }

    private var fixture: ImageFixture {
        var image = image
        image.editIndex = { _ in #"{"schemaVersion":2,"manifests":[\#(entries.joined(separator: ","))]}"# }
        return image
    }

    /// Writes it as a directory.
    func write(_ scratch: Scratch, _ name: String = "layout") throws -> String {
        let path = try fixture.writeLayout(scratch, name)
        let place = try Directory(path: "\(path)/blobs/sha256")
        for blob in blobs { try place.write(ImageFixture.digest(blob).hex, blob) }
        return path
    }

    /// The layout as a tar.
    var tar: [UInt8] {
        let files = fixture.layoutFiles + blobs.map { ("blobs/sha256/\(ImageFixture.digest($0).hex)", $0) }
        let distinct = Dictionary(files) { first, _ in first }.sorted { $0.key < $1.key }
        return TarWriter.tar(distinct.map { file, bytes in TarWriter.Entry.file(file).with { $0.content = bytes } })
    }
}

extension SignedLayout {
    /// The document that was listed last.
    var last: [UInt8]? { blobs.last }
}
