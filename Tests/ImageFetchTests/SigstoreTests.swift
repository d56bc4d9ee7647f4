import Diagnostics
import FoundationEssentials
import ImageFixtures
import ImageStore
import Manifests
import Testing

@testable import ImageFetch

/// Images in registries that somebody has signed, or says to have.
@Suite struct SigstoreTests {
    let scratch: Scratch
    let store: ImageStore
    let registry: SignedRegistry
    let signer = TestSigner.new

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
        registry = try SignedRegistry()
    }

    typealias Answer = TestServer.Answer

    private func fetch(
        _ tag: String = "1",
        keys: (any SigstoreKeySource)? = nil,
        insecure: Bool = false
    ) throws -> ImageRecord {
        var session = HTTPSession(client: try HTTPClient(HTTPSettings(userAgent: "rkt/test", allowsHTTP: true)))
        session.patience = { _ in 0 }
        let keys: any SigstoreKeySource = try keys ?? TestKeys(keys: [signer.key()])
        return try RegistryFetcher(store: store, session: session, credentials: NoCredentials(), keys: keys).fetch(
            try DockerReference("\(registry.name):\(tag)"),
            options: FetchOptions(insecureImage: insecure)
        )
    }

    /// The refusal: a user's line and what `--debug` shows.
    @discardableResult
    private func refused(keys: (any SigstoreKeySource)? = nil, saying words: String? = nil) -> String {
        let error = #expect(throws: RktError.self) { try fetch(keys: keys) }
        #expect(error?.code == .permissionDenied)
        #expect((try? store.list()) == [])
        #expect(!registry.server.requests.contains { $0.path.hasSuffix(registry.layerPath) })
        let text = error?.tree ?? ""
        #expect(words.map { text.contains($0) } ?? true, "\(text)")
        return text
    }

    // MARK: What is right

    @Test(arguments: 0..<5)
    func whatATrustedKeySignedNeedsNoPermission(kind: Int) throws {
        let signer = try #require(TestSigner.all.dropFirst(kind).first)
        let digest = registry.add(.small, tag: "1")
        try registry.signByTag(digest, signer)
        let key = try signer.key()
        let record = try fetch(keys: TestKeys(keys: [try TestSigner.new.key(), key]))
        #expect(record.id == "sha256-\(digest.hex)")
        #expect(record.verification.isVerified)
        #expect(record.verification.detail == "signed by sigstore key sha256:\(key.fingerprint)")
        #expect(record.verification.signers == [key.fingerprint])
        #expect(record.verification.origin == "docker://\(registry.name):1")
        // A pod may use what the tag has led to, and nobody is asked again what it leads to.
        #expect(try store.image(fetchedFrom: "\(registry.name):1", verified: true)?.id == record.id)
        #expect(registry.server.requests.filter { $0.path == "/v2/app/manifests/1" }.count == 1)
    }

    /// cosign names the repository, skopeo the tag too.
    @Test(arguments: ["", ":1", "@DIGEST", ":1@DIGEST"])
    func theNameMaySayMore(rest: String) throws {
        let digest = registry.add(.small, tag: "1")
        let rest = rest.replacing("DIGEST", with: "\(digest)")
        try registry.signByTag(digest, signer, name: registry.name + rest)
        #expect(try fetch().verification.isVerified)
    }

    @Test func aSignedIndexLeadsToItsImage() throws {
        let index = registry.addIndex(of: .small, tag: "1")
        try registry.signByTag(index, signer)
        let record = try fetch()
        #expect(record.verification.isVerified)
        #expect(record.id == "sha256-\(ImageFixture.digest(ImageFixture.small.manifestBytes).hex)")
    }

    @Test func theImageInAnIndexMayBeSigned() throws {
        _ = registry.addIndex(of: .small, tag: "1")
        try registry.signByTag(ImageFixture.digest(ImageFixture.small.manifestBytes), signer)
        #expect(try fetch().verification.isVerified)
    }

    @Test(arguments: [true, false], ["classic", "bundle", "message"])
    func whatRefersToAnImageMayBeItsSignature(hasAPI: Bool, form: String) throws {
        let digest = registry.add(.small, tag: "1")
        let manifest: [UInt8]
        switch form {
        case "classic":
            let payload = SignedRegistry.payload(digest, registry.name)
            let layer = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
            manifest = SignedRegistry.manifest([layer], config: "application/vnd.dev.cosign.artifact.sig.v1+json")
        case "bundle":
            manifest = registry.bundleManifest(try SignedRegistry.bundle(SignedRegistry.statement(digest), signer))
        default:
            let signature = Data(try signer.sign(ImageFixture.small.manifestBytes)).base64EncodedString()
            manifest = registry.bundleManifest(
                #"{"mediaType":"\#(SigstoreBundle.mediaType)","verificationMaterial":{},"#
                    + #""messageSignature":{"messageDigest":{},"signature":"\#(signature)"}}"#
            )
        }
        let type = form == "classic" ? "application/vnd.dev.cosign.artifact.sig.v1+json" : SigstoreBundle.mediaType
        // Whatever else refers to it is not asked for.
        let list = registry.referrers([(Array("{}".utf8), "application/spdx+json"), (manifest, type)])
        let answer = Answer(headers: [("Content-Type", OCI.MediaType.index)], body: list)
        registry.set(hasAPI ? "referrers/\(digest)" : "manifests/sha256-\(digest.hex)", answer)
        #expect(try fetch().verification.isVerified)
        #expect(!registry.server.requests.contains { $0.path.hasSuffix(ImageFixture.digest(Array("{}".utf8)).hex) })
    }

    @Test func aListOfReferrersGoesOn() throws {
        let digest = registry.add(.small, tag: "1")
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(SignedRegistry.statement(digest), signer))
        let headers = [("Link", #"</v2/app/referrers/\#(digest)?n=1>; rel="next""#)]
        registry.set("referrers/\(digest)", Answer(headers: headers, body: registry.referrers([])))
        let second = registry.referrers([(manifest, SigstoreBundle.mediaType)])
        registry.set("referrers/\(digest)?n=1", Answer(body: second))
        #expect(try fetch().verification.isVerified)
    }

    @Test func oneGoodSignatureIsEnough() throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name)
        let other = SignedRegistry.payload(ImageFixture.digest([1]), registry.name)
        let layers = [
            registry.classicLayer(payload, try signer.sign(Array(payload.utf8))),
            registry.classicLayer(payload, try TestSigner.new.sign(Array(payload.utf8))),
            registry.classicLayer(other, try signer.sign(Array(other.utf8))),
            registry.classicLayer(payload, [1, 2, 3]), registry.classicLayer("{}", try signer.sign(Array("{}".utf8))),
        ]
        registry.addManifest(SignedRegistry.manifest(layers), tag: "sha256-\(digest.hex).sig")
        #expect(try fetch().verification.isVerified)
    }

    // MARK: What is refused

    @Test func withoutAKeyNobodyIsAskedForSignatures() throws {
        let digest = registry.add(.small, tag: "1")
        try registry.signByTag(digest, signer)
        let text = refused(keys: TestKeys(keys: [try signer.key()], name: "\(registry.name)2"))
        #expect(text.contains("rkt trust --prefix=\(registry.name) KEY"))
        #expect(text.contains("docker://\(registry.name)@\(digest);"))
        #expect(text.contains("--insecure-options=image"))
        #expect(registry.server.requests.allSatisfy { !$0.path.contains("sha256") })
        // It is in force for what the user says only.
        #expect(try !fetch(insecure: true).verification.isVerified)
        #expect(try store.image(fetchedFrom: "\(registry.name):1", verified: true) == nil)
    }

    @Test func whatNobodySignedIsRefused() {
        registry.add(.small, tag: "1")
        #expect(!refused(saying: "rkt trust --prefix=\(registry.name) KEY").contains("--debug"))
    }

    @Test func anotherKeyDoesNotCount() throws {
        try registry.signByTag(registry.add(.small, tag: "1"), TestSigner.new)
        let text = refused(saying: "no key that is trusted for this has made it")
        // What a user sees has the ways on, and says where the rest is.
        #expect(text.split(separator: "\n").last?.contains("--debug says why") == true)
        #expect(text.split(separator: "\n").last?.contains("--insecure-options=image") == true)
    }

    /// A signature is good, but not for this.
    @Test(arguments: [
        ("NAME", "OTHER", "another image"), ("NAME2", "DIGEST", "not for"), ("NAME/sub", "DIGEST", "not for"),
        ("example.com/app", "DIGEST", "not for"), ("NAME:2", "DIGEST", "not for"), ("NAME:latest", "DIGEST", "not for"),
        ("NAME@OTHER", "DIGEST", "not for"), ("", "DIGEST", "no image's name"), ("@", "DIGEST", "no image's name"),
        ("NAME", "sha256:1", "not a digest"), ("NAME", "sha256:../../1", "not a digest"),
    ])
    func whatASignatureIsForCounts(name: String, signed: String, words: String) throws {
        let digest = registry.add(.small, tag: "1")
        let other = "\(ImageFixture.digest([1]))"
        let payload = SignedRegistry.payload(digest, name)
            .replacing("\(digest)", with: signed).replacing("DIGEST", with: "\(digest)")
            .replacing("OTHER", with: other).replacing("NAME", with: registry.name)
        let layer = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        registry.addManifest(SignedRegistry.manifest([layer]), tag: "sha256-\(digest.hex).sig")
        refused(saying: words)
    }

    /// What two readers could read differently, or what says more than is understood.
    @Test(arguments: [
        (#""critical":"#, #""critical":{},"critical":"#), (#""type":"#, #""type":"x","type":"#),
        (#""optional":null}"#, #""optional":null} "x""#), (#""optional":null}"#, #""optional":null}{}"#),
        (#""optional":null"#, #""optional":null,"more":1"#), (#""type":"#, #""expires":1,"type":"#),
        (#""docker-reference":"#, #""x":1,"docker-reference":"#),
        (#""docker-manifest-digest":"#, #""x":1,"docker-manifest-digest":"#),
        ("cosign container image signature", "atomic container signature"), ("docker-manifest", "Docker-manifest"),
    ])
    func anAmbiguousPayloadIsRefused(old: String, new: String) throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name).replacing(old, with: new)
        let layer = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        registry.addManifest(SignedRegistry.manifest([layer]), tag: "sha256-\(digest.hex).sig")
        refused(saying: "what is signed")
    }

    @Test func anotherPayloadThanTheManifestSaysIsRefused() throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name)
        let claimed = Array(payload.replacing("null", with: "{}").utf8)
        let signature = try signer.sign(Array(payload.utf8))
        let layer = registry.classicLayer(String(decoding: claimed, as: UTF8.self), signature)
        registry.addManifest(SignedRegistry.manifest([layer]), tag: "sha256-\(digest.hex).sig")
        registry.addBlob(claimed, served: Array(payload.utf8))
        refused(saying: "what came has")
    }

    @Test(arguments: [
        #""manifests":[]"#, #""manifests":[],"x":{}"#, #""schemaVersion":2"#, #""layers":[]"#,
        #""mediaType":"application/vnd.oci.image.index.v1+json""#,
    ])
    func aManifestOfSignaturesIsNothingElse(more: String) throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name)
        let layer = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        registry.addManifest(SignedRegistry.manifest([layer], more: ",\(more)"), tag: "sha256-\(digest.hex).sig")
        refused(saying: "tag sha256-\(digest.hex).sig")
    }

    @Test func aListThatIsAManifestTooIsRefused() throws {
        let digest = registry.add(.small, tag: "1")
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(SignedRegistry.statement(digest), signer))
        let list = registry.referrers([(manifest, SigstoreBundle.mediaType)])
        let both = Array(#"{"layers":[],"#.utf8) + list.dropFirst()
        registry.set("referrers/\(digest)", Answer(body: both))
        refused(saying: "not an index")
    }

    @Test func aReferrerThatIsAnotherIsRefused() throws {
        let digest = registry.add(.small, tag: "1")
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(SignedRegistry.statement(digest), signer))
        let list = registry.referrers([(manifest + [0x20], SigstoreBundle.mediaType)])
        registry.set("referrers/\(digest)", Answer(body: list))
        registry.set("manifests/\(ImageFixture.digest(manifest + [0x20]))", Answer(body: manifest))
        refused(saying: "what came has")
    }

    // MARK: Bundles

    @Test(arguments: [
        (#"sign/v1","predicate""#, #"sign/v2","predicate""#, "not a signature"),
        ("https://sigstore.dev/cosign/sign/v1", "https://slsa.dev/provenance/v1", "not a signature"),
        ("Statement/v1", "Statement/v9", "no in-toto statement"), ("DIGEST", "OTHER", "of another image"),
        (#""sha256""#, #""sha512""#, "of another image"),
        (#""subject":[{"#, #""subject":[{"name":"example.com/app","#, "not for"),
        (#""predicate":{}"#, #""predicate":{},"predicate":{}"#, "twice"),
    ])
    func aStatementOfSomethingElseIsRefused(old: String, new: String, words: String) throws {
        let digest = registry.add(.small, tag: "1")
        let statement = SignedRegistry.statement(digest).replacing(digest.hex, with: "DIGEST").replacing(old, with: new)
            .replacing("DIGEST", with: digest.hex).replacing("OTHER", with: ImageFixture.digest([1]).hex)
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(statement, signer))
        registry.set("referrers/\(digest)", Answer(body: registry.referrers([(manifest, SigstoreBundle.mediaType)])))
        refused(saying: words)
    }

    @Test(arguments: [
        ("v0.3", "v0.9", "a bundle of the type"),
        (#""signatures":[{"#, #""signatures":[{"sig":"AA=="},{"#, "one signature"),
        (#""payloadType":"application/vnd.in-toto+json""#, #""payloadType":"text/plain""#, "one signature"),
        (#""dsseEnvelope":"#, #""messageSignature":{"signature":"AA=="},"dsseEnvelope":"#, "several kinds"),
        (#""dsseEnvelope":"#, #""x":"#, "no signature"), (#""sig":""#, #""sig":"AAAA"#, "has made it"),
        (#""sig":""#, #""sig":"!"#, "base64"),
    ])
    func aBundleThatIsAnotherIsRefused(old: String, new: String, words: String) throws {
        let digest = registry.add(.small, tag: "1")
        let bundle = try SignedRegistry.bundle(SignedRegistry.statement(digest), signer).replacing(old, with: new)
        let manifest = registry.bundleManifest(bundle)
        registry.set("referrers/\(digest)", Answer(body: registry.referrers([(manifest, SigstoreBundle.mediaType)])))
        refused(saying: words)
    }

    /// What is said to be about something else is not read; that it is, is nobody's word.
    @Test func attestationsAreNotRead() throws {
        let digest = registry.add(.small, tag: "1")
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(SignedRegistry.statement(digest), signer))
        let more = #","annotations":{"dev.sigstore.bundle.predicateType":"https://slsa.dev/provenance/v1"}"#
        let list = registry.referrers([(manifest, SigstoreBundle.mediaType)], more: more)
        registry.set("referrers/\(digest)", Answer(body: list))
        refused()
        #expect(!registry.server.requests.contains { $0.path.hasSuffix(ImageFixture.digest(manifest).hex) })
    }

    /// A registry could answer with any image that the key has signed so: it counts only where the user has named the
    /// repository.
    @Test(arguments: ["statement", "document"])
    func aSignatureThatNamesNoRepositoryNeedsAKeyForIt(form: String) throws {
        let digest = registry.add(.small, tag: "1")
        let signature = Data(try signer.sign(ImageFixture.small.manifestBytes)).base64EncodedString()
        let bundle =
            form == "statement"
            ? try SignedRegistry.bundle(SignedRegistry.statement(digest), signer)
            : #"{"mediaType":"\#(SigstoreBundle.mediaType)","messageSignature":{"signature":"\#(signature)"}}"#
        let manifest = registry.bundleManifest(bundle)
        registry.set("referrers/\(digest)", Answer(body: registry.referrers([(manifest, SigstoreBundle.mediaType)])))
        let text = refused(
            keys: TestKeys(keys: [try signer.key()], isForRepository: false),
            saying: "it names no repository"
        )
        // What a user sees says how to trust it.
        #expect(text.split(separator: "\n").last?.contains("rkt trust --prefix=\(registry.name) KEY") == true)
        let record = try fetch()
        #expect(record.verification.detail.hasSuffix("(of its digest alone; the key is trusted for this repository)"))
    }

    @Test func aStatementThatNamesTheRepositoryNeedsNone() throws {
        let digest = registry.add(.small, tag: "1")
        let statement = SignedRegistry.statement(digest)
            .replacing(#""subject":[{"#, with: #""subject":[{"name":"\#(registry.name)","#)
        let manifest = registry.bundleManifest(try SignedRegistry.bundle(statement, signer))
        registry.set("referrers/\(digest)", Answer(body: registry.referrers([(manifest, SigstoreBundle.mediaType)])))
        let record = try fetch(keys: TestKeys(keys: [try signer.key()], isForRepository: false))
        #expect(record.verification.detail == "signed by sigstore key sha256:\(try signer.key().fingerprint)")
    }

    // MARK: Limits

    @Test func ofManySignaturesTheLastAreLookedAt() throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name)
        let good = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        let bad = registry.classicLayer(payload, try TestSigner.new.sign(Array(payload.utf8)))
        let many = [String](repeating: bad, count: 500)
        registry.addManifest(SignedRegistry.manifest([good] + many), tag: "sha256-\(digest.hex).sig")
        refused(saying: "more than 128 signatures")
        // The same payload is got once.
        #expect(registry.server.requests.filter { $0.path.contains("/blobs/") }.count == 1)
        registry.addManifest(SignedRegistry.manifest(many + [good]), tag: "sha256-\(digest.hex).sig")
        #expect(try fetch().verification.isVerified)
    }

    @Test func tenThousandSignaturesAreRefused() throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name)
        let good = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        let manifest = SignedRegistry.manifest([String](repeating: good, count: 10_000))
        registry.addManifest(manifest, tag: "sha256-\(digest.hex).sig")
        refused(saying: "larger than")
    }

    @Test func whatRefersToAnImageIsReadUpToALimit() throws {
        let digest = registry.add(.small, tag: "1")
        let manifests = (0..<100).map { number in
            (bytes: SignedRegistry.manifest([], more: #","number":\#(number)"#), type: SigstoreBundle.mediaType)
        }
        registry.set("referrers/\(digest)", Answer(body: registry.referrers(manifests)))
        refused(saying: "more than 32")
        #expect(registry.server.requests.count < 40)
    }

    @Test func aLargePayloadIsNotGot() throws {
        let digest = registry.add(.small, tag: "1")
        let payload = SignedRegistry.payload(digest, registry.name) + String(repeating: " ", count: 70_000)
        let layer = registry.classicLayer(payload, try signer.sign(Array(payload.utf8)))
        registry.addManifest(SignedRegistry.manifest([layer]), tag: "sha256-\(digest.hex).sig")
        refused(saying: "announced with")
        #expect(!registry.server.requests.contains { $0.path.contains("/blobs/") })
    }

    /// Whoever keeps signatures back gets nowhere.
    @Test(arguments: [401, 403, 404, 500])
    func aRegistryThatHidesSignaturesIsRefused(status: Int) throws {
        let digest = registry.add(.small, tag: "1")
        try registry.signByTag(digest, signer)
        registry.set("manifests/sha256-\(digest.hex).sig", Answer(status: status))
        registry.set("referrers/\(digest)", Answer(status: status))
        registry.set("manifests/sha256-\(digest.hex)", Answer(status: status))
        refused(saying: "no key that is trusted for it has signed it")
    }
}

extension SignedRegistry {
    /// The end of the path of the small image's layer.
    var layerPath: String { "/blobs/\(ImageFixture.digest(ImageFixture.small.layers[0].blob))" }
}
