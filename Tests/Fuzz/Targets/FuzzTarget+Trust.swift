internal import Diagnostics
internal import FoundationEssentials
internal import ImageFetch
internal import Manifests

extension FuzzTarget {
    /// A key that is to be trusted, of OpenPGP or of sigstore: as it is kept, it is the same key.
    static let key = FuzzTarget("key", shortRun: 6_000) { bytes in
        let key = try TrustedKey(bytes, path: "a key")
        let again = try mustSucceed("what is kept is no key") { try TrustedKey(key.contents, path: "a key") }
        try require(again == key, "what is kept is another key")
        let digits = key.fingerprint.utf8
        try require(
            digits.count == 64 || key.kind == .openPGP && digits.count == 40,
            "\(key.fingerprint) is no fingerprint"
        )
        let texts = key.identities + key.subkeyFingerprints
        try require(texts.allSatisfy(isPrintable), "\(texts) would move the cursor")
        guard key.kind == .sigstore else { return }
        try require(!key.identities.isEmpty, "nobody says what it is")
        // One that cannot be used is told when somebody is asked about it.
        let signing = try unlessRefused { try SigstoreKey(pem: key.contents, name: "a key") }
        try require(signing == nil || signing?.fingerprint == key.fingerprint, "it is used as another key")
    }

    private static func isPrintable(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
    }

    /// What is signed in sigstore's forms, and bundles of signatures: what was accepted says what it says.
    static let signature = FuzzTarget("signature", shortRun: 6_000) { bytes in
        if let signed = try unlessRefused({ try SimpleSigning(bytes) }) {
            let name = String(decoding: try JSONEncoder().encode(signed.name), as: UTF8.self)
            let printed =
                #"{"critical":{"type":"cosign container image signature","identity":{"docker-reference":\#(name)},"#
                + #""image":{"docker-manifest-digest":"\#(signed.digest)"}}}"#
            let again = try mustSucceed("\(printed) is not read") { try SimpleSigning(Array(printed.utf8)) }
            try require(again == signed, "\(printed) reads as something else")
        }
        try requireSoundStatement(bytes)
        guard let bundle = try unlessRefused({ try SigstoreBundle.parse(bytes) }) else { return }
        if case .statement(let payload, let signed) = bundle.content {
            try require(signed.starts(with: Array("DSSEv1 ".utf8)), "what is signed could be something else")
            try require(signed.suffix(payload.count).elementsEqual(payload), "something else is signed")
            try requireSoundStatement(payload)
        }
    }

    private static func requireSoundStatement(_ bytes: [UInt8]) throws {
        guard let statement = try unlessRefused({ try SignatureStatement(bytes) }) else { return }
        try require(statement.subject.count <= SignatureStatement.subjectLimit, "\(statement.subject.count) subjects")
        for subject in statement.subject {
            guard let hex = subject.digest["sha256"], let digest = try? Digest(.sha256, hex: hex) else { continue }
            try require(!statement.subjects(digest).isEmpty, "\(digest) is not found")
        }
    }

    private static func unlessRefused<Value>(_ body: () throws -> Value) throws -> Value? {
        do { return try body() } catch is RktError { return nil }
    }
}
