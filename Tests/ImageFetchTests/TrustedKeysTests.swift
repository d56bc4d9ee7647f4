import Diagnostics
import Glibc
import ImageFixtures
import LinuxOS
import Testing

@testable import ImageFetch

@Suite(.enabled(if: hasProgram("gpg"), "gpg makes the keys")) struct TrustedKeysTests {
    let scratch: Scratch
    let signer: Signer
    let store: KeyStore
    let alice: String
    let key: [UInt8]

    init() throws {
        scratch = try Scratch()
        signer = try Signer(scratch)
        store = KeyStore(scratch)
        alice = try signer.makeKey("Alice <alice@example.com>")
        key = try signer.publicKey(alice)
    }

    private func found(_ name: String) throws -> [String] { try store.keys.keys(for: name).map(\.fingerprint) }

    private func refusal(_ name: String = "example.com/app", _ store: KeyStore? = nil) -> RktError? {
        #expect(throws: RktError.self) { try (store ?? self.store).keys.keys(for: name) }
    }

    /// A public key in PEM's form.
    private func pem(_ algorithm: String = "EC -pkeyopt ec_paramgen_curve:P-256") throws -> String {
        try scratch.shell("openssl genpkey -algorithm \(algorithm) 2>>openssl.log | openssl pkey -pubout > pem")
        return try scratch.directory.readText("pem")
    }

    @Test func aKeyIsCalledWhatGpgCallsIt() throws {
        #expect(try TrustedKey(key, path: "x").fingerprint == alice)
        #expect(try TrustedKey(try signer.publicKey(alice, binary: true), path: "x").fingerprint == alice)
        #expect(try TrustedKey(key, path: "x").identities == ["Alice <alice@example.com>"])
        try signer.gpg("--quick-add-key \(alice) ed25519 sign never")
        let sub = try TrustedKey(try signer.publicKey(alice), path: "x")
        #expect(sub.fingerprint == alice)
        #expect(sub.subkeyFingerprints.count == 1)
    }

    @Test func rootKeysAreForAllImagesAndThoseOfAPrefixForWholeComponents() throws {
        try store.put("prefix.d/example.com/fo", alice, key)
        #expect(try found("example.com/fo") == [alice])
        #expect(try found("example.com/fo/bar/baz") == [alice])
        #expect(try found("example.com/foo").isEmpty)
        #expect(try found("example.com").isEmpty)
        #expect(try found("example.org/fo").isEmpty)
        try store.put("root.d", alice, key)
        #expect(try found("example.com/foo") == [alice])
        #expect(try found("localhost:5000/team/app") == [alice])
    }

    @Test func oneRegistryHasThreeNames() throws {
        _ = try store.keys.add(try TrustedKey(key, path: "x"), for: try ImagePrefix("docker.io/library"))
        #expect(try found("registry-1.docker.io/library/redis") == [alice])
        #expect(try found("index.docker.io/library/redis") == [alice])
    }

    @Test func anEmptyFileTakesAwayAKeyOfADirectoryBefore() throws {
        let local = KeyStore(scratch, "local")
        let keys = TrustedKeys(directories: [store.path, local.path])
        try store.put("root.d", alice, key)
        try store.put("prefix.d/example.com", alice, key)
        #expect(try keys.keys(for: "example.com/app").map(\.fingerprint) == [alice])
        try local.put("prefix.d/example.com/app", alice, [])
        #expect(try keys.keys(for: "example.com/app/web").isEmpty)
        #expect(try keys.isMasked(alice, for: "example.com/app/web"))
        #expect(try keys.keys(for: "example.com/other").map(\.fingerprint) == [alice])
        #expect(try !keys.isMasked(alice, for: "example.com/other"))
        #expect(try keys.list().map(\.prefix) == [nil, "example.com", "example.com/app"])
        #expect(try keys.list().map { $0.key?.fingerprint } == [alice, alice, nil])
        // One that is nearer to the image brings it back.
        try local.put("prefix.d/example.com/app/web", alice, key)
        #expect(try keys.keys(for: "example.com/app/web").map(\.fingerprint) == [alice])
    }

    @Test func keysOfBothKindsAreKept() throws {
        let pem = try pem()
        let other = try TrustedKey([UInt8](pem), path: "cosign.pub")
        #expect(other.kind == .sigstore)
        #expect(other.identities == ["ECDSA P-256"])
        try scratch.shell("openssl pkey -pubin -in pem -outform DER | sha256sum | cut -c1-64 | tr -d '\\n' > sum")
        #expect(try other.fingerprint == scratch.directory.readText("sum"))
        let keys = store.keys
        #expect(try keys.add(other, for: nil) == "\(store.path)/trustedkeys/root.d/\(other.fingerprint)")
        _ = try keys.add(try TrustedKey(key, path: "x"), for: try ImagePrefix("example.com/app"))
        let all = try keys.keys(for: "example.com/app")
        #expect(Set(all.map(\.kind)) == [.openPGP, .sigstore])
        #expect(all.first { $0.kind == .sigstore }?.contents == [UInt8](pem))
    }

    /// What a signature without a name in it can be taken for.
    @Test func aKeyIsForOneRepositoryAloneOrForMore() throws {
        let key = try TrustedKey(Array(try pem().utf8), path: "x")
        func isAlone(_ name: String) throws -> [Bool] {
            try store.keys.sigstoreKeys(for: name).map(\.isForRepository)
        }
        try store.put("prefix.d/example.com/team/app", key.fingerprint, key.contents)
        #expect(try isAlone("example.com/team/app") == [true])
        #expect(try isAlone("example.com/team/app/more") == [false])
        try store.put("prefix.d/example.com/other", key.fingerprint, key.contents)
        #expect(try isAlone("example.com/team/app") == [false])
        try store.put("prefix.d/example.com/other", key.fingerprint, [])
        #expect(try isAlone("example.com/team/app") == [true])
        try store.put("root.d", key.fingerprint, key.contents)
        #expect(try isAlone("example.com/team/app") == [false])
    }

    @Test func keysOfSigstoreAreOfTheAlgorithmsThatSignImages() throws {
        let known = [
            ("EC -pkeyopt ec_paramgen_curve:P-384", "ECDSA P-384"),
            ("EC -pkeyopt ec_paramgen_curve:P-521", "ECDSA P-521"),
            ("ED25519", "Ed25519"), ("RSA -pkeyopt rsa_keygen_bits:2048", "RSA"),
        ]
        for (algorithm, name) in known {
            #expect(try TrustedKey([UInt8](try pem(algorithm)), path: "x").identities == [name])
        }
        for algorithm in ["X25519", "RSA -pkeyopt rsa_keygen_bits:1024", "EC -pkeyopt ec_paramgen_curve:secp256k1"] {
            #expect(throws: RktError.self) { try TrustedKey([UInt8](try pem(algorithm)), path: "x") }
        }
    }

    @Test func whatIsAddedIsForAllToReadAndForNobodyElseToWrite() async {
        // The umask is the whole process's.
        await #expect(processExitsWith: .success) {
            umask(0o077)
            let scratch = try Scratch()
            let signer = try Signer(scratch)
            let alice = try signer.makeKey("Alice <alice@example.com>")
            let key = try TrustedKey(try signer.publicKey(alice), path: "x")
            let store = KeyStore(scratch)
            // Again is no error, and leaves nothing else there.
            for _ in 1...2 {
                let path = try store.keys.add(key, for: try ImagePrefix("example.com/app"))
                try #require(path == "\(store.path)/trustedkeys/prefix.d/example.com/app/\(alice)")
            }
            let place = try Directory(path: "\(store.path)/trustedkeys")
            try #require(try place.directory("prefix.d/example.com/app").names() == [alice])
            try #require(try place.status(of: "prefix.d/example.com/app/\(alice)").mode == 0o644)
            for directory in [".", "prefix.d", "prefix.d/example.com", "prefix.d/example.com/app"] {
                try #require(try place.status(of: directory).mode == 0o755)
            }
            try #require(try store.keys.keys(for: "example.com/app").map(\.fingerprint) == [alice])
        }
    }

    // MARK: Keys that others could have put there

    @Test(arguments: ["file", "directory", "trustedkeys", "config"])
    func whatOthersCouldWriteIsRefused(_ what: String) throws {
        let path = try store.put("prefix.d/example.com", alice, key)
        let target = [
            "file": path, "directory": "\(store.path)/trustedkeys/prefix.d/example.com",
            "trustedkeys": "\(store.path)/trustedkeys", "config": store.path,
        ][what, default: ""]
        for mode: mode_t in [0o775, 0o757] {
            chmod(target, mode)
            let error = refusal()
            #expect(error?.code == .permissionDenied)
            #expect(error?.message.hasPrefix(target) == true)
        }
        chmod(target, 0o755)
        #expect(try found("example.com/app") == [alice])
    }

    @Test(.enabled(if: isRoot, "only root can give files away")) func whatBelongsToOthersIsRefused() throws {
        let path = try store.put("root.d", alice, key)
        chown(path, 4711, 4711)
        #expect(refusal()?.code == .permissionDenied)
        chown(path, 0, 4711)
        #expect(try found("example.com/app") == [alice])
    }

    @Test func linksAndSpecialFilesAreNoKeys() throws {
        let path = try store.put("root.d", alice, key)
        let directory = try Directory(path: "\(store.path)/trustedkeys/root.d")
        try scratch.shell("mv \(path) \(scratch.path)/elsewhere && ln -s \(scratch.path)/elsewhere \(path)")
        #expect(refusal()?.code == .invalidData)
        try directory.remove(alice)
        try directory.makePipe(alice, mode: 0o644)
        #expect(refusal()?.code == .invalidData)
        try directory.remove(alice)
        try scratch.shell("mv config/trustedkeys/root.d outside && ln -s ../../outside config/trustedkeys/root.d")
        #expect(refusal()?.code == .invalidData)
    }

    @Test func aKeyUnderAnotherNameIsRefused() throws {
        let bob = try signer.makeKey("Bob <bob@example.com>")
        try store.put("root.d", bob, key)
        let error = refusal()
        #expect(error?.code == .invalidData)
        #expect(error?.message.contains(alice) == true)
        try store.put("root.d", bob, try signer.publicKey(bob))
        try store.put("root.d", "bob.asc", try signer.publicKey(bob))
        #expect(refusal()?.code == .invalidData)
        try Directory(path: "\(store.path)/trustedkeys/root.d").rename("bob.asc", to: ".bob.asc")
        #expect(try found("example.com/app") == [bob])
    }

    @Test func aFileOfAnythingElseIsNoKey() throws {
        let bob = try signer.makeKey("Bob <bob@example.com>")
        try signer.gpg("--armor --export \(alice) \(bob) > ring")
        try signer.gpg("--armor --export-secret-keys \(alice) > secret")
        var cut = try signer.publicKey(alice, binary: true)
        cut.removeLast()
        var damaged = key
        damaged[damaged.count / 2] ^= 1
        let signature = try signer.sign([1, 2, 3], by: alice)
        let pem = try pem()
        let wrong: [[UInt8]] = [
            try scratch.directory.read("ring"), try scratch.directory.read("secret"), key + key, cut, damaged,
            signature,
            [], [UInt8]("hello"), [UInt8](repeating: 0xFF, count: 100), [0xC6, 0xE0], [UInt8](pem) + key,
            [UInt8](pem.replacing("PUBLIC", with: "PRIVATE")), [UInt8](pem.replacing("MFkw", with: "MFkx")),
            [UInt8](repeating: 0x41, count: TrustedKey.sizeLimit + 1),
        ]
        for secret in [try scratch.directory.read("secret"), [UInt8](pem.replacing("PUBLIC", with: "PRIVATE"))] {
            let error = #expect(throws: RktError.self) { try TrustedKey(secret, path: "x") }
            #expect(error?.message == "key x is a secret key: give its public one")
        }
        for contents in wrong {
            #expect(throws: RktError.self, "\(String(decoding: contents.prefix(40), as: UTF8.self))") {
                try TrustedKey(contents, path: "x")
            }
        }
    }

    @Test(arguments: [
        "", "/", "example.com/", "example.com//app", "../etc", "example.com/../app", "https://example.com/app",
        "example.com/app:1", "example.com/.hidden", "example.com/a b", "example.com/a\n",
        String(repeating: "a", count: 40),
    ])
    func whatIsNoNameIsNoPrefix(_ text: String) {
        let error = #expect(throws: RktError.self) { try ImagePrefix(text) }
        #expect(error?.code == .invalidArgument)
    }

    @Test func whatIsNotThereIsNoError() throws {
        #expect(try found("example.com/app").isEmpty)
        #expect(try store.keys.list().isEmpty)
        _ = try Directory.ensure(path: store.path)
        #expect(try found("example.com/app").isEmpty)
    }

    // MARK: Review

    @Test func gpgLooksAtAKeyBeforeSomebodyDoes() throws {
        #expect(try KeyReview(try TrustedKey(key, path: "x")).problem == nil)
        let old = try signer.makeKey("Old", expires: "1y", time: "20200101T000000")
        #expect(try KeyReview(try TrustedKey(try signer.publicKey(old), path: "x")).problem == "it has expired")
        try scratch.shell("sed 's/^:---/---/' gnupg-*/openpgp-revocs.d/\(alice.uppercased()).rev > revocation")
        try signer.gpg("--import revocation")
        #expect(try KeyReview(try TrustedKey(try signer.publicKey(alice), path: "x")).problem == "it was revoked")
    }

    @Test func aNameThatSomebodyElseHasWrittenIntoAKeyIsFound() throws {
        let forged = try signer.publicKey(alice, binary: true) + [0xCD, 3] + [UInt8]("Eve")
        let candidate = try TrustedKey(forged, path: "x")
        #expect(candidate.fingerprint == alice)
        let error = #expect(throws: RktError.self) { try KeyReview(candidate) }
        #expect(error?.code == .invalidData)
    }

    @Test func aKeyComesFromAServerOnlyAsAllowed() throws {
        let key = key
        let server = try TestServer { request, _ in
            switch request.path {
            case "/key": TestServer.Answer(body: key)
            case "/endless":
                TestServer.Answer(body: [UInt8](repeating: 0x41, count: 1 << 16), hasLength: false, isEndless: true)
            case "/moved": TestServer.Answer(status: 302, headers: [("Location", "/key")])
            default: TestServer.Answer(status: 404)
            }
        }
        func source(http: Bool) -> KeySource { KeySource(settings: HTTPSettings(userAgent: "test", allowsHTTP: http)) }
        let refused = #expect(throws: RktError.self) { try source(http: false).key("http://\(server.host)/key") }
        #expect(refused?.code == .permissionDenied)
        #expect(server.requests.isEmpty)
        #expect(try source(http: true).key("http://\(server.host)/key").fingerprint == alice)
        #expect(try source(http: true).key("http://\(server.host)/moved").fingerprint == alice)
        for (path, code) in [("none", RktError.Code.unavailable), ("endless", .limitExceeded)] {
            let error = #expect(throws: RktError.self) { try source(http: true).key("http://\(server.host)/\(path)") }
            #expect(error?.code == code)
        }
        #expect(throws: RktError.self) { try source(http: true).key("ftp://\(server.host)/key") }
        #expect(try source(http: false).key(try scratch.file("a.asc", key)).fingerprint == alice)
    }
}
