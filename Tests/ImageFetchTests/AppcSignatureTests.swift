import Diagnostics
import Glibc
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// ACIs in files and their detached signatures, with keys and signatures that gpg makes.
@Suite(.enabled(if: hasProgram("gpg") && hasProgram("gpgv"), "gpg signs")) struct AppcSignatureTests {
    let scratch: Scratch
    let signer: Signer
    let keyStore: KeyStore
    let store: ImageStore
    let alice: String
    let image = ImageFixture.aci([.file("rootfs/bin", "content")])
    private let heard = Heard()

    private final class Heard: Sendable {
        let identities = Mutex<[[String]]>([])
    }

    init() throws {
        scratch = try Scratch()
        signer = try Signer(scratch)
        keyStore = KeyStore(scratch)
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
        alice = try signer.makeKey("Alice <alice@example.com>")
    }

    private var policy: SignedImagePolicy {
        SignedImagePolicy(
            AppcSignatures(keys: keyStore.keys) { [heard] found in heard.identities.withLock { $0.append(found) } }
        )
    }

    private func trust(_ fingerprint: String, _ place: String = "prefix.d/example.com") throws {
        try keyStore.put(place, fingerprint, try signer.publicKey(fingerprint))
    }

    private func fetch(_ bytes: [UInt8], _ signature: [UInt8]?, insecure: Bool = false) throws -> ImageRecord {
        let path = try scratch.file("app.aci", bytes)
        let beside = try signature.map { try scratch.file("app.aci.asc", $0) }
        defer { if beside != nil { try? scratch.directory.remove("app.aci.asc") } }
        return try FileFetcher(store: store, policy: policy).fetch(
            path: path,
            options: FetchOptions(insecureImage: insecure)
        )
    }

    /// The error of a fetch that must leave nothing behind.
    private func refusal(_ bytes: [UInt8], _ signature: [UInt8]?) throws -> String {
        let error = #expect(throws: RktError.self) { try fetch(bytes, signature) }
        #expect(try store.list().isEmpty)
        for algorithm in ["sha256", "sha512"] {
            #expect(try scratch.directory.directory("store/blobs/\(algorithm)").names().isEmpty)
        }
        #expect(try scratch.directory.directory("store/tmp").names().isEmpty)
        return "\(try #require(error))"
    }

    @Test func aSignedImageIsOnRecordWithItsSigner() throws {
        try trust(alice)
        let before = ImageRecord.Verification(isVerified: false, detail: "").checkedAt ?? 0
        let record = try fetch(image, try signer.sign(image, by: alice))
        #expect(record.verification.isVerified)
        #expect(record.verification.signers == [alice])
        #expect(record.verification.detail == "signed by Alice <alice@example.com>")
        #expect(record.verification.origin == "\(scratch.path)/app.aci")
        #expect(record.verification.checkedAt ?? 0 >= before)
        #expect(heard.identities.withLock { $0 } == [["Alice <alice@example.com>"]])
        #expect(try store.list() == [record])
        // Fetched again without, it is still what she has signed.
        #expect(try fetch(image, nil, insecure: true).verification.signers == [alice])
    }

    @Test(arguments: ["--detach-sign", "--armor --detach-sign", "--armor --detach-sign --digest-algo SHA512"])
    func aSignatureMayBeBinaryOrText(_ options: String) throws {
        try trust(alice)
        #expect(try fetch(image, try signer.sign(image, by: alice, options)).verification.isVerified)
    }

    @Test func theSignatureIsOfTheFileAsItIs() throws {
        try trust(alice)
        let packed = try scratch.compressed(image, with: "gzip")
        #expect(try refusal(packed, try signer.sign(image, by: alice)).contains("bad"))
        #expect(try fetch(packed, try signer.sign(packed, by: alice)).verification.isVerified)
    }

    @Test func aSubkeySignsForItsPrimaryKey() throws {
        try signer.gpg("--quick-add-key \(alice) ed25519 sign never")
        try trust(alice)
        let sub = try #require(try TrustedKey(try signer.publicKey(alice), path: "x").subkeyFingerprints.first)
        let record = try fetch(image, try signer.sign(image, by: "\(sub)!"))
        #expect(record.verification.signers == [alice])
    }

    @Test func anUnsignedImageIsRefusedBeforeItIsRead() throws {
        try trust(alice)
        let message = try refusal(image, nil)
        #expect(message.contains("app.aci.asc"))
        #expect(message.contains("--signature"))
        #expect(message.contains("--insecure-options=image"))
    }

    @Test func changedBytesAreRefused() throws {
        try trust(alice)
        let signature = try signer.sign(image, by: alice)
        var changed = image
        // In the content of a file, whose size and place stay.
        let place = try #require(changed.indices.first { changed[$0...].starts(with: Array("content".utf8)) })
        changed[place] ^= 1
        #expect(try refusal(changed, signature).contains("its signature is bad"))
        #expect(try refusal(image + [UInt8](repeating: 0, count: 512), signature).contains("its signature is bad"))
    }

    @Test func onlyKeysForTheImagesNameCount() throws {
        let signature = try signer.sign(image, by: alice)
        let hint = "rkt trust --prefix \"example.com/app\""
        let nobody = try refusal(image, signature)
        #expect(nobody.contains(alice) && nobody.contains("no key is trusted for it") && nobody.contains(hint))
        try trust(alice, "prefix.d/example.org")
        try trust(alice, "prefix.d/example.com/ap")
        #expect(try refusal(image, signature).contains(hint))
        let bob = try signer.makeKey("Bob <bob@example.com>")
        try trust(bob)
        #expect(try refusal(image, signature).contains("not one of those trusted for it"))
        // What an image calls itself decides, not what its file is called.
        let other = ImageFixture.aci(name: "example.org/app", [.file("rootfs/bin", "content")])
        #expect(try fetch(other, try signer.sign(other, by: alice)).names == ["example.org/app:1.0.0"])
    }

    @Test func aMaskedKeyDoesNotCount() throws {
        let local = KeyStore(scratch, "local")
        try trust(alice)
        try local.put("prefix.d/example.com", alice, [])
        let signatures = AppcSignatures(keys: TrustedKeys(directories: [keyStore.path, local.path]))
        let file = try OwnedFD(opening: try scratch.file("x.aci", image))
        let error = #expect(throws: RktError.self) {
            try signatures.verify(image: file, signature: try signer.sign(image, by: alice), name: "example.com/app")
        }
        #expect(error?.code == .permissionDenied)
    }

    /// Nothing comes again that is fresh or unchanged, unless nobody's word counts for it any more.
    @Test(arguments: ["max-age=60", "no-cache"])
    func aKeyThatWasTakenAwayDoesNotCountForWhatIsHere(freshness: String) throws {
        let site = try WebSite()
        let image = image
        site.put("/x.aci") { request in
            let headers = [("ETag", "\"one\""), ("Cache-Control", freshness)]
            return request.headers["if-none-match"] == nil
                ? WebSite.Answer(headers: headers, body: image) : WebSite.Answer(status: 304, headers: headers)
        }
        site.put("/x.aci.asc", try signer.sign(image, by: alice))
        try trust(alice)
        func fetch() throws -> ImageRecord {
            try site.fetcher(store, signatures: AppcSignatures(keys: keyStore.keys))
                .fetch(url: "http://\(site.server.host)/x.aci", options: FetchOptions())
        }
        #expect(try fetch().verification.signers == [alice])
        let before = site.paths.count
        #expect(try fetch().verification.signers == [alice])
        #expect(site.paths.count == before + (freshness == "no-cache" ? 1 : 0))
        try keyStore.put("prefix.d/example.com", alice, [])
        #expect(#expect(throws: RktError.self) { try fetch() }?.code == .permissionDenied)
    }

    @Test func expiredAndRevokedKeysDoNotCount() throws {
        let old = try signer.makeKey("Old", expires: "1y", time: "20200101T000000")
        try trust(old)
        let then = "--faked-system-time 20200201T000000 --detach-sign"
        #expect(try refusal(image, try signer.sign(image, by: old, then)).contains("has expired"))
        let signature = try signer.sign(image, by: alice)
        try trust(alice)
        try scratch.shell("sed 's/^:---/---/' gnupg-*/openpgp-revocs.d/\(alice.uppercased()).rev > revocation")
        try signer.gpg("--import revocation")
        try trust(alice)
        #expect(try refusal(image, signature).contains("was revoked"))
    }

    @Test func anExpiredSignatureDoesNotCount() throws {
        let old = try signer.makeKey("Old", time: "20200101T000000")
        try trust(old)
        let options = "--detach-sign --faked-system-time 20200201T000000 --default-sig-expire"
        #expect(try refusal(image, try signer.sign(image, by: old, "\(options) 1d")).contains("signature has expired"))
        #expect(try fetch(image, try signer.sign(image, by: old, "\(options) 0")).verification.signers == [old])
    }

    @Test func oneBadSignatureIsTooMany() throws {
        let bob = try signer.makeKey("Bob <bob@example.com>")
        try trust(alice)
        let good = try signer.sign(image, by: alice, "--detach-sign")
        let others = try signer.sign(image, by: bob, "--detach-sign")
        let bad = try signer.sign(image + [0], by: alice, "--detach-sign")
        #expect(try refusal(image, good + bad).contains("its signature is bad"))
        #expect(try refusal(image, bad + good).contains("its signature is bad"))
        // Whom nobody trusts may sign too.
        #expect(try fetch(image, others + good).verification.signers == [alice])
        try trust(bob)
        #expect(try fetch(image, others + good).verification.signers == [alice, bob].sorted())
    }

    @Test func whatIsNoDetachedSignatureIsRefused() throws {
        try trust(alice)
        let signature = try signer.sign(image, by: alice)
        let text = String(decoding: signature, as: UTF8.self)
        var packet = try signer.sign(image, by: alice, "--detach-sign")
        packet.removeLast()
        let wrong: [[UInt8]] = [
            try signer.sign(image, by: alice, "--clearsign"), try signer.sign(image, by: alice, "--sign"),
            try signer.sign(image, by: alice, "--armor --sign"), try signer.sign(image, by: alice, "--store"),
            try signer.sign(image, by: alice, "--textmode --detach-sign"), try signer.publicKey(alice), packet,
            signature + signature, [UInt8](text.replacing("BEGIN PGP SIGNATURE", with: "BEGIN PGP MESSAGE")),
            [], [UInt8]("good"), [UInt8](repeating: 0, count: 4096), [UInt8](repeating: 0xC2, count: 100_000),
            [UInt8](repeating: 0x41, count: 1 << 20), image,
        ]
        for contents in wrong {
            let message = try refusal(image, contents)
            #expect(message.contains("signature"), "\(String(decoding: contents.prefix(60), as: UTF8.self))")
        }
    }

    @Test func weakHashesAreNotReliedUpon() throws {
        try trust(alice)
        let rsa = "'RSA <rsa@example.com>'"
        try signer.gpg("--quick-gen-key \(rsa) rsa2048 sign never")
        try signer.gpg("--with-colons --list-keys =\(rsa) > listing")
        let line = try scratch.directory.readText("listing").split(separator: "\n").first { $0.hasPrefix("fpr:") }
        let key = try #require(line).split(separator: ":")[1].lowercased()
        try trust(key)
        #expect(try fetch(image, try signer.sign(image, by: key, "--detach-sign")).verification.signers == [key])
        let other = ImageFixture.aci([.file("rootfs/bin", "other")])
        let weak = try signer.sign(other, by: key, "--digest-algo SHA1 --detach-sign")
        let error = #expect(throws: RktError.self) { try fetch(other, weak) }
        #expect("\(try #require(error))".contains("too weak"))
    }

    // MARK: Files that change

    /// Puts what was signed in the place of what was read, just before the signature is checked.
    private struct Swapping: SignaturePolicy {
        let policy: SignedImagePolicy
        let path: String
        let signed: [UInt8]

        func verify(path: String, options: FetchOptions) throws -> ImageRecord.Verification {
            try policy.verify(path: path, options: options)
        }

        func appc(path: String, options: FetchOptions) throws -> AppcDecision {
            let decide = try policy.appc(path: path, options: options)
            return { [self] file, name, digest in
                let directory = try Directory(path: String(self.path.dropLast("/app.aci".count)))
                try directory.writeInPlace("app.aci", signed)
                return try decide(file, name, digest)
            }
        }
    }

    @Test func whatWasVerifiedIsWhatIsImported() throws {
        try trust(alice)
        let evil = ImageFixture.aci([.file("rootfs/bin", "CONTENT")])
        let path = try scratch.file("app.aci", evil)
        _ = try scratch.file("app.aci.asc", try signer.sign(image, by: alice))
        let swapping = Swapping(policy: policy, path: path, signed: image)
        let error = #expect(throws: RktError.self) {
            try FileFetcher(store: store, policy: swapping).fetch(path: path, options: FetchOptions())
        }
        #expect(error?.code == .digestMismatch)
        #expect(try store.list().isEmpty)
        #expect(try scratch.directory.directory("store/blobs/sha512").names().isEmpty)
        #expect(heard.identities.withLock { $0.isEmpty })
    }

    // MARK: Other files

    @Test func otherImagesInFilesAreStillRefused() throws {
        try trust(alice, "root.d")
        let layout = try ImageFixture.small.writeLayout(scratch)
        let tar = try scratch.file("app.tar", ImageFixture.small.layoutTar)
        _ = try scratch.file("app.tar.asc", try signer.sign(ImageFixture.small.layoutTar, by: alice))
        for path in [layout, tar] {
            let error = #expect(throws: RktError.self) {
                try FileFetcher(store: store, policy: policy).fetch(path: path, options: FetchOptions())
            }
            #expect(error?.code == .permissionDenied)
        }
        #expect(try store.list().isEmpty)
    }

    @Test func recordsOfBeforeAreStillRead() throws {
        let record = try fetch(image, nil, insecure: true)
        let images = try scratch.directory.directory("store/images")
        let text = try images.readText("\(record.id).json")
        let lines = text.split(separator: "\n").filter { !$0.contains("\"checkedAt\"") && !$0.contains("\"origin\"") }
        #expect(lines.count == text.split(separator: "\n").count - 2)
        let old = lines.joined(separator: "\n").replacing(",\n  }", with: "\n  }")
        try images.write("\(record.id).json", old)
        let read = try #require(try store.list().first)
        #expect(read.verification.detail == "insecure-options=image")
        #expect(read.verification.checkedAt == nil && read.verification.origin == nil)
    }
}

extension OwnedFD {
    fileprivate init(opening path: String) throws {
        self.init(taking: try system("opening \(path)") { open(path, O_RDONLY | O_CLOEXEC) })
    }
}
