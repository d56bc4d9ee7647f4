import Diagnostics
import FoundationEssentials
import Glibc
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// Images in OCI layouts that somebody has signed, or says to have.
@Suite struct SignedLayoutTests {
    let scratch: Scratch
    let store: ImageStore
    let signer = TestSigner.new
    let name = "example.com/team/app"

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private struct Policy: SignaturePolicy {
        let keys: any SigstoreKeySource

        func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification {
            try UnsignedPolicy().verify(path: path, options: options)
        }

        func layoutKeys(_ options: FetchOptions) -> (any SigstoreKeySource)? { options.insecureImage ? nil : keys }
    }

    private func fetch(_ path: String, keys: (any SigstoreKeySource)? = nil) throws -> ImageRecord {
        let keys: any SigstoreKeySource = try keys ?? TestKeys(keys: [signer.key()], name: name)
        return try FileFetcher(store: store, policy: Policy(keys: keys)).fetch(path: path, options: FetchOptions())
    }

    /// The refusal: a user's line and what `--debug` shows.
    @discardableResult
    private func refused(
        _ layout: SignedLayout,
        keys: (any SigstoreKeySource)? = nil,
        saying words: String,
        change: (_ path: String) throws -> Void = { _ in }
    ) throws -> String {
        let path = try layout.write(scratch)
        try change(path)
        let error = #expect(throws: RktError.self) { try fetch(path, keys: keys) }
        #expect(error?.code == .permissionDenied)
        #expect(try store.list().isEmpty)
        let text = error?.tree ?? ""
        #expect(text.contains(words), "\(text)")
        return text
    }

    // MARK: What is right

    @Test(arguments: [true, false])
    func whatCosignSavedNeedsNoPermission(isTar: Bool) throws {
        let layout = try SignedLayout.saved(as: name, by: signer)
        let path = try isTar ? scratch.file("app.tar", layout.tar) : layout.write(scratch)
        let record = try fetch(path)
        let fingerprint = try signer.key().fingerprint
        #expect(record.id == "sha256-\(layout.digest.hex)")
        #expect(record.verification.isVerified)
        #expect(record.verification.detail == "signed by sigstore key sha256:\(fingerprint)")
        #expect(record.verification.signers == [fingerprint])
        #expect(record.verification.origin == path)
        // It is what it was signed as, and no tag was.
        #expect(record.names == ["\(name)@\(layout.digest)"])
        #expect(try store.image(fetchedFrom: "\(name)@\(layout.digest)", verified: true)?.id == record.id)
        #expect(try store.image(fetchedFrom: "\(name):latest", verified: false) == nil)
    }

    /// As `skopeo copy` and `oras copy` bring both tags into one layout.
    @Test(arguments: ["", "example.com/team/app:"])
    func theSignaturesMayBeAtTheirTag(prefix: String) throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named("\(prefix)1"))
        let signatures = try layout.signatures("\(name):1", signer)
        layout.add(signatures, SignedLayout.named("\(prefix)sha256-\(layout.digest.hex).sig"))
        let record = try fetch(try layout.write(scratch))
        // The signer says which tag it is.
        #expect(record.names == ["\(name):1", "\(name)@\(layout.digest)"])
        #expect(try store.image(fetchedFrom: "\(name):1", verified: true)?.id == record.id)
    }

    /// Tools write what they like there: what is found by it is what it was signed as.
    @Test(arguments: ["2", "app:2", "team/app:2"])
    func aMarkInTheFileIsNoName(mark: String) throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named(mark))
        layout.add(try layout.signatures("\(name):1", signer), SignedLayout.kind("sigs"))
        let record = try fetch("\(try layout.write(scratch))#\(mark)")
        #expect(record.names == ["\(name):1", "\(name)@\(layout.digest)"])
    }

    @Test(arguments: ["typed", "untyped", "list"], ["classic", "bundle"])
    func whatRefersToTheImageMayBeItsSignature(place: String, form: String) throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named("\(name):1"))
        let type =
            form == "bundle" ? SigstoreBundle.mediaType : "application/vnd.dev.cosign.artifact.sig.v1+json"
        let manifest =
            try form == "bundle"
            ? layout.bundle(SignedRegistry.statement(layout.digest), signer)
            : layout.signatures(name, signer, more: layout.subject)
        if place == "list" {
            let entry = SignedRegistry.descriptor(
                OCI.MediaType.manifest,
                layout.addBlob(manifest),
                manifest.count,
                #","artifactType":"\#(type)""#
            )
            let list = Array(#"{"schemaVersion":2,"manifests":[\#(entry)]}"#.utf8)
            layout.add(list, SignedLayout.named("sha256-\(layout.digest.hex)"), type: OCI.MediaType.index)
        } else {
            layout.add(manifest, more: place == "typed" ? #","artifactType":"\#(type)""# : "")
        }
        let record = try fetch(try layout.write(scratch))
        #expect(record.verification.isVerified)
        #expect(record.names == ["\(name):1", "\(name)@\(layout.digest)"])
        // What the file alone says leads nowhere.
        #expect(try store.image(fetchedFrom: "\(name):1", verified: false) == nil)
    }

    @Test func aSignedIndexLeadsToItsImage() throws {
        var layout = SignedLayout()
        let platform = layout.image.platform
        let own = SignedRegistry.descriptor(
            OCI.MediaType.manifest,
            layout.addBlob(layout.image.manifestBytes),
            layout.image.manifestBytes.count,
            #","platform":{"os":"linux","architecture":"\#(platform.architecture)"}"#
        )
        let index = Array(#"{"schemaVersion":2,"manifests":[\#(own)]}"#.utf8)
        layout.add(index, SignedLayout.kind("imageIndex"), type: OCI.MediaType.index)
        layout.add(
            try layout.signatures(name, signer, of: ImageFixture.digest(index)),
            SignedLayout.kind("sigs")
        )
        layout.add(Array("{}".utf8), SignedLayout.kind("atts"))
        let record = try fetch(try layout.write(scratch))
        #expect(record.id == "sha256-\(layout.digest.hex)")
        #expect(record.names == ["\(name)@\(ImageFixture.digest(index))"])
    }

    @Test func withoutSignaturesItIsStillAnImage() throws {
        let path = try SignedLayout.saved(as: name, by: signer).write(scratch)
        let record = try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
        #expect(!record.verification.isVerified)
        #expect(record.sources ?? [] == [])
    }

    /// Keys that change the layout when they are asked for: when its manifest has been read.
    private final class Change: SigstoreKeySource {
        let keys: TestKeys
        let path: String
        private let isDone = Mutex(false)

        init(_ keys: TestKeys, _ path: String) {
            self.keys = keys
            self.path = path
        }

        func sigstoreKeys(for name: String) -> [SigstoreKey] { keys.sigstoreKeys(for: name) }

        func allSigstoreKeys() throws -> [SigstoreKey] {
            try isDone.withLock { isDone in
                let manifest = ImageFixture.digest(ImageFixture.small.manifestBytes).hex
                try Directory(path: "\(path)/blobs/sha256").write(manifest, Array("{}".utf8))
                try Directory(path: path).write("index.json", Array("{}".utf8))
                isDone = true
            }
            return keys.allSigstoreKeys()
        }
    }

    @Test func whatWasVerifiedIsImportedWhateverIsThereThen() throws {
        let layout = try SignedLayout.saved(as: name, by: signer)
        let path = try layout.write(scratch)
        let keys = Change(TestKeys(keys: [try signer.key()], name: name), path)
        let record = try fetch(path, keys: keys)
        #expect(try Directory(path: path).read("index.json") == Array("{}".utf8))
        #expect(try store.manifestJSON(of: record) == layout.image.manifestBytes)
    }

    /// A file may be old.
    @Test func aTagThatLeadsSomewhereStaysThere() throws {
        func layout(_ image: ImageFixture) throws -> String {
            var layout = SignedLayout(image)
            layout.addImage(SignedLayout.kind("image"))
            layout.add(try layout.signatures("\(name):1", signer), SignedLayout.kind("sigs"))
            return try layout.write(scratch, "layout-\(layout.digest.hex.prefix(8))")
        }
        var older = ImageFixture.small
        older.layers.append(ImageFixture.Layer([.file("flaw", "x")]))
        let newer = try layout(.small)
        let record = try fetch(newer)
        let old = try fetch(try layout(older))
        #expect(old.id != record.id)
        #expect(old.names == ["\(name)@sha256:\(old.id.dropFirst(7))"])
        #expect(try store.image(fetchedFrom: "\(name):1", verified: true)?.id == record.id)
        #expect(try fetch(newer).names == record.names)
    }

    /// The tag of this very image is no other's.
    @Test func aTagThatNobodyVouchedForIsSignedLater() throws {
        let layout = try SignedLayout.saved(as: "\(name):1", by: signer)
        let insecure = FetchOptions(insecureImage: true)
        var record = try FileFetcher(store: store).fetch(path: try layout.write(scratch), options: insecure)
        record.sources = [ImageRecord.Source(reference: "\(name):1", isVerified: false)]
        _ = try store.beginImport(unpack: false, progress: nil).commit(record)
        _ = try fetch("\(scratch.path)/layout")
        #expect(try store.image(fetchedFrom: "\(name):1", verified: true)?.id == record.id)
    }

    @Test func whatCosignSavesOfManyImagesIsFound() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.kind("image").merging(SignedLayout.named("1")) { first, _ in first })
        layout.add(
            try layout.signatures(name, signer),
            SignedLayout.kind("sigs").merging(SignedLayout.named("1")) { first, _ in first }
        )
        for index in 0..<40 {
            let other = try layout.signatures(name, signer, of: ImageFixture.digest([UInt8(index)]))
            layout.add(other, SignedLayout.kind("sigs"))
        }
        #expect(try fetch("\(try layout.write(scratch))#1").verification.isVerified)
    }

    // MARK: What is refused

    @Test func whatNobodySignedIsRefused() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named("1"))
        let text = try refused(layout, saying: "the layout holds no signature of \(layout.digest)")
        for way in ["rkt trust --prefix=HOST/REPOSITORY KEY", "cosign save", "--insecure-options=image"] {
            #expect(text.contains(way))
        }
    }

    @Test func withoutAKeyNoSignatureCounts() throws {
        let layout = try SignedLayout.saved(as: name, by: signer)
        try refused(layout, keys: NoSigstoreKeys(), saying: "no key is trusted for it")
        try refused(layout, keys: TestKeys(keys: [try TestSigner.new.key()]), saying: "--debug says why")
    }

    /// The key is good, but not for what it has signed.
    @Test func aKeyForAnotherNameDoesNotCount() throws {
        let layout = try SignedLayout.saved(as: "example.com/other/app", by: signer)
        let words = "it is for example.com/other/app, for which the key that has made it is not trusted"
        try refused(layout, saying: words)
    }

    @Test(arguments: [
        "example.com/team/other:1", "example.com/team/app:2", "example.org/team/app:1", "localhost/app:1",
    ])
    func aFileThatGivesItAnotherNameIsRefused(given: String) throws {
        for annotation in ["org.opencontainers.image.ref.name", "io.containerd.image.name"] {
            var layout = SignedLayout()
            layout.addImage([annotation: given])
            layout.add(try layout.signatures("\(name):1", signer), SignedLayout.kind("sigs"))
            try refused(layout, keys: TestKeys(keys: [try signer.key()]), saying: "it is for \(name):1, not for ")
        }
    }

    /// Else a file could have its image called by the digest of any other.
    @Test func anImageIsNotCalledByTheDigestOfAnother() throws {
        let other = "\(name)@\(ImageFixture.digest([1]))"
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named(other))
        layout.add(try layout.signatures(name, signer), SignedLayout.kind("sigs"))
        try refused(layout, saying: "it is called \(other), which is another image")
        let options = FetchOptions(insecureImage: true)
        let record = try FileFetcher(store: store).fetch(path: try layout.write(scratch), options: options)
        #expect(record.names.isEmpty)
    }

    @Test func aNameThatIsNoneAndTwoNamesAreRefused() throws {
        for (given, words) in [
            ("example.com/a:b:c", "no image's name"), ("example.org/app:1", "names of several images"),
        ] {
            var layout = SignedLayout()
            layout.addImage(["org.opencontainers.image.ref.name": "\(name):1", "io.containerd.image.name": given])
            layout.add(try layout.signatures("\(name):1", signer), SignedLayout.kind("sigs"))
            try refused(layout, saying: words)
        }
    }

    @Test func aSignatureOfAnotherImageIsRefused() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.kind("image"))
        let other = ImageFixture.digest([1])
        layout.add(try layout.signatures(name, signer, of: other), SignedLayout.kind("sigs"))
        try refused(layout, saying: "it is of \(other), another image")
    }

    /// Nothing says whose image it is, or only the file does and the key is for more than that repository.
    @Test func aSignatureOfADigestAloneNeedsANameAndAKeyForIt() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.named("1"))
        layout.add(try layout.bundle(SignedRegistry.statement(layout.digest), signer))
        try refused(layout, saying: "nothing says whose image that is")
        layout = SignedLayout()
        layout.addImage(SignedLayout.named("\(name):1"))
        layout.add(try layout.bundle(SignedRegistry.statement(layout.digest), signer))
        let keys = TestKeys(keys: [try signer.key()], isForRepository: false)
        try refused(layout, keys: keys, saying: "it names no repository")
    }

    @Test func contentThatIsNotWhatItsDigestSaysIsRefused() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.kind("image"))
        let payload = SignedRegistry.payload(layout.digest, name)
        let claimed = Array(payload.replacing("null", with: "{}").utf8)
        let layer = layout.layer(String(decoding: claimed, as: UTF8.self), try signer.sign(Array(payload.utf8)))
        let manifest = SignedRegistry.manifest([layer])
        layout.add(manifest, SignedLayout.kind("sigs"))
        try refused(layout, saying: "what came has") { path in
            try Directory(path: "\(path)/blobs/sha256").write(ImageFixture.digest(claimed).hex, Array(payload.utf8))
        }
        try refused(layout, saying: "bytes and the digest") { path in
            let place = try Directory(path: "\(path)/blobs/sha256")
            try place.write(ImageFixture.digest(manifest).hex, manifest + [0x20])
        }
    }

    /// Links lead nowhere outside, and what is no file is not waited for.
    @Test func aManifestOfSignaturesIsInTheLayout() throws {
        let layout = try SignedLayout.saved(as: name, by: signer)
        let outside = try scratch.file("outside", try #require(layout.last))
        let hex = ImageFixture.digest(try #require(layout.last)).hex
        try refused(layout, saying: "signatures sha256:\(hex)") { path in
            let place = try Directory(path: "\(path)/blobs/sha256")
            try place.remove(hex)
            try place.makeLink(hex, to: outside)
        }
        try refused(layout, saying: "not a regular file") { path in
            let place = try Directory(path: "\(path)/blobs/sha256")
            try place.remove(hex)
            try place.makePipe(hex, mode: 0o600)
        }
    }

    @Test func signaturesAreLookedAtUpToALimit() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.kind("image"))
        layout.add(try layout.signatures(name, signer), SignedLayout.kind("sigs"))
        for number in 0..<200 {
            let more = ",\"number\":\(number)"
            layout.add(try layout.signatures(name, TestSigner.new, more: more), SignedLayout.kind("sigs"))
        }
        try refused(layout, saying: "there are more than 32")
    }

    /// What is listed and not there costs no more than what is.
    @Test func whatIsMissingCountsToo() throws {
        var layout = SignedLayout()
        layout.addImage(SignedLayout.kind("image"))
        layout.add(try layout.signatures(name, signer), SignedLayout.kind("sigs"))
        for number in 0..<40 {
            let missing = ImageFixture.digest([0, UInt8(number)])
            let entry = SignedRegistry.descriptor(
                OCI.MediaType.manifest,
                missing,
                2,
                #","annotations":{"kind":"dev.cosignproject.cosign/sigs"}"#
            )
            layout.entries.append(entry)
        }
        try refused(layout, saying: "there are more than 32")
    }

    @Test func whatDockerSavedHoldsNoSignatures() throws {
        let path = try scratch.file("app.tar", ImageFixture.small.dockerTar)
        let error = #expect(throws: RktError.self) { try fetch(path) }
        #expect(error?.code == .permissionDenied)
        #expect("\(try #require(error))".contains("--insecure-options=image"))
        #expect(try store.list().isEmpty)
    }

    // MARK: The key store

    /// A key for the beginning of the name counts for names that were signed; for digests alone one of the repository's own.
    @Test func keysCountForWhatTheyAreTrustedFor() throws {
        let keys = TrustedKeys(directories: ["\(scratch.path)/etc"])
        let key = try TrustedKey(Array(signer.pem.utf8), path: "key")
        let policy = SignedImagePolicy(AppcSignatures(keys: keys))
        func fetch(_ layout: SignedLayout, _ place: String) throws -> ImageRecord {
            let path = try layout.write(scratch, place)
            return try FileFetcher(store: store, policy: policy).fetch(path: path, options: FetchOptions())
        }
        var named = SignedLayout()
        named.addImage()
        named.add(try named.signatures(name, signer), SignedLayout.kind("sigs"))
        var bare = SignedLayout()
        bare.addImage(SignedLayout.named("\(name):1"))
        bare.add(try bare.bundle(SignedRegistry.statement(bare.digest), signer))
        #expect(throws: RktError.self) { try fetch(named, "a") }
        _ = try keys.add(key, for: try ImagePrefix("example.com/teams"))
        #expect(throws: RktError.self) { try fetch(named, "a") }
        _ = try keys.add(key, for: try ImagePrefix("example.com/team"))
        #expect(try fetch(named, "a").verification.isVerified)
        #expect(throws: RktError.self) { try fetch(bare, "b") }
        let own = TestSigner.new
        let other = try TrustedKey(Array(own.pem.utf8), path: "key")
        _ = try keys.add(other, for: try ImagePrefix(name))
        bare.add(try bare.bundle(SignedRegistry.statement(bare.digest), own))
        #expect(try fetch(bare, "c").verification.isVerified)
        // A signature is of an ACI.
        let options = FetchOptions(signaturePath: "\(scratch.path)/signature")
        let error = #expect(throws: RktError.self) {
            try FileFetcher(store: store, policy: policy).fetch(path: "\(scratch.path)/a", options: options)
        }
        #expect(error?.code == .unsupported)
    }
}
