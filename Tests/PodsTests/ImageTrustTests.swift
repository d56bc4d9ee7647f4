import Diagnostics
import ImageFetch
import ImageFixtures
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageStore
@testable import Pods

/// Whose word counts for images that are in the store already, or wanted for it.
@Suite struct ImageTrustTests {
    private let temporary: TemporaryData
    private let scratch: Scratch
    private let store: ImageStore

    init() throws {
        temporary = try TemporaryData()
        scratch = try Scratch()
        store = try ImageStore(root: temporary.data.storePath, create: true)
    }

    private static let credentials = CredentialSettings(directories: []) { _ in nil }

    private func access(_ policy: ImageAccess.PullPolicy, _ insecure: InsecureOptions = []) throws -> ImageAccess {
        try ImageAccess(
            data: temporary.data,
            policy: policy,
            insecure: insecure,
            credentials: Self.credentials,
            progress: nil
        )
    }

    /// An OCI image in a file.
    private func file(_ name: String, _ layers: [ImageFixture.Layer] = []) throws -> String {
        var fixture = ImageFixture.small
        fixture.layers += layers
        fixture.name = name
        return try scratch.file("\(name.filter { $0 != "/" && $0 != ":" }).oci", fixture.layoutTar)
    }

    /// Puts an image on record as if it had come from a registry.
    private func fetched(_ name: String, from reference: String, isVerified: Bool) throws -> ImageRecord {
        var record = try access(.never, .image).obtain(try file(name))
        record.verification = ImageRecord.Verification(isVerified: true, detail: "signed by somebody")
        record.sources = [ImageRecord.Source(reference: reference, isVerified: isVerified)]
        return try store.beginImport(unpack: false, progress: nil).commit(record)
    }

    // MARK: Names

    /// A name is what anybody can write into a file: an image that is no ACI counts by the place it came from.
    @Test(arguments: [
        ("example.com/app:1", true, true), ("example.com/app:1", false, false), ("a.com/b:1", true, false),
    ])
    func aNameCountsWhereItsOwnPlaceWasVerified(reference: String, isVerified: Bool, isFound: Bool) throws {
        let record = try fetched("example.com/app:1", from: reference, isVerified: isVerified)
        if isFound {
            #expect(try access(.never).obtain("example.com/app:1").id == record.id)
        } else {
            let error = try failure { try access(.never).obtain("example.com/app:1") }
            #expect(error.code == .notFound)
            #expect("\(error)".contains("nobody has vouched for"))
        }
        #expect(try access(.never, .image).obtain("example.com/app:1").id == record.id)
    }

    // MARK: Policies

    /// `update` is for who wants what the registry has now: what is here is named, not taken.
    @Test func updateTakesNothingElseThanWhatTheRegistryHas() throws {
        // Nobody listens there.
        let reference = "127.0.0.1:1/app:1"
        let record = try fetched("example.com/app:1", from: reference, isVerified: true)
        #expect(try access(.new).obtain("docker://\(reference)").id == record.id)
        let error = try failure { try access(.update).obtain("docker://\(reference)") }
        #expect(error.code == .unavailable)
        #expect("\(error)".contains("--pull-policy=new"))
        #expect(try store.list() == [record])
        // Where nobody has vouched for it, that would not help.
        let other = try fetched("example.com/other:1", from: "127.0.0.1:1/other:1", isVerified: false)
        #expect(
            !"\(try failure { try access(.update).obtain("docker://127.0.0.1:1/other:1") })".contains("--pull-policy")
        )
        #expect(try access(.new, .image).obtain("docker://127.0.0.1:1/other:1").id == other.id)
    }

    @Test func ofSeveralEachHasItsOwnResult() throws {
        let one = try file("example.com/one:1")
        let two = try file("example.com/two:1", [ImageFixture.Layer([.file("two", "2")])])
        let missing = "\(scratch.path)/missing.aci"
        let told = Mutex<[String]>([])
        try access(.new, .image).obtain([one, missing, two, one]) { text, result in
            let names = (try? result.get().names) ?? []
            told.withLock { $0.append("\(text) \(names)") }
        }
        let expected = [
            "\(one) [\"example.com/one:1\"]", "\(missing) []", "\(two) [\"example.com/two:1\"]",
            "\(one) [\"example.com/one:1\"]",
        ]
        #expect(told.withLock { $0 } == expected)
        #expect(try store.list().count == 2)
    }

    // MARK: Repair

    @Test(.enabled(if: isRoot, "files of other users are needed"))
    func aLayerIsMadeAgainByRootsWordAlone() throws {
        let theirs = try access(.new, .image).obtain(try file("example.com/theirs:1"))
        let own = try access(.new, .image)
            .podImage(try file("example.com/own:1", [ImageFixture.Layer([.file("own", "x")])]))
        try scratch.shell("chown 12345 '\(store.root)/images/\(theirs.id).json'")
        let seen = try store.list()
        let member = try #require(seen.first { $0.id == theirs.id })
        let root = try #require(seen.first { $0.id == own.record.id })
        let layer = member.layers[0].diffID
        let unpacked = "\(store.root)/layers/\(layer.hex)"
        try Directory(path: unpacked).write("changed", "")
        let verification = try ImageVerification(
            data: temporary.data,
            insecure: .image,
            credentials: Self.credentials
        )
        func repair(_ images: [ImageRecord]) throws {
            try verification.repair(StoreDamage(object: .layer(layer), problem: "", images: images))
        }
        #expect(try failure { try repair([member]) }.code == .notFound)
        #expect(try Directory(path: unpacked).contains("changed"))
        try repair([member, root])
        #expect(try !Directory(path: unpacked).contains("changed"))
    }

    // MARK: Keys

    private static let key = """
        -----BEGIN PUBLIC KEY-----
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAER8ew/ZUyU0CqoOZHUsBa6ku42oqF
        g2RjisFCR0Xx9lFVT+Z2WeNdEfQwAOsSS1ew7qafbE8ggzKaTv3ESwErFA==
        -----END PUBLIC KEY-----

        """

    @Test func aKeyThatWasTakenAwayIsNotAskedAboutAgain() throws {
        let place = try Directory.ensure(path: "\(scratch.path)/config/trustedkeys/prefix.d/example.com")
        let asked = Mutex<[String]>([])
        let told = Mutex<[String]>([])
        let finding = KeyFinding(trustsHTTPS: true) { key, _ in
            asked.withLock { $0.append(key.fingerprint) }
            return true
        } notice: { line in
            told.withLock { $0.append(line) }
        }
        let trust = ImageTrust(directories: ["\(scratch.path)/config"], finding: finding)
        let keys = try KeyTrust(directories: trust.directories, insecure: [], allowsHTTP: false)
        let location = try scratch.file("key.pem", Array(Self.key.utf8))
        let fingerprint = try keys.candidate(location).fingerprint
        try place.write(fingerprint, "")
        try finding.look(at: location, "example.com/app", keys, trust, [])
        #expect(asked.withLock { $0 }.isEmpty)
        #expect(told.withLock { $0 }.count { $0.contains("it was taken away for example.com/app") } == 1)
        #expect(try trust.keys.keys(for: "example.com/app").isEmpty)
        // Whose file is gone is as unknown as any other.
        try place.remove(fingerprint)
        try finding.look(at: location, "example.com/app", keys, trust, [])
        #expect(asked.withLock { $0 } == [fingerprint])
        #expect(try trust.keys.keys(for: "example.com/app").map(\.fingerprint) == [fingerprint])
    }
}
