import Diagnostics
import ImageFixtures
import LinuxOS

@testable import ImageFetch

/// Somebody who signs, with gpg and keys of their own.
final class Signer: Sendable {
    let scratch: Scratch
    private let home: String

    init(_ scratch: Scratch) throws {
        self.scratch = scratch
        home = "gnupg-\(UInt32.random(in: 0 ... .max))"
        try scratch.directory.makeDirectory(home, mode: 0o700)
    }

    deinit {
        try? scratch.shell("gpgconf --homedir \(home) --kill all")
    }

    /// Runs gpg with keys of this fixture's.
    func gpg(_ arguments: String) throws {
        try scratch.shell(
            "gpg --homedir \(home) --batch --quiet --no-tty --yes --passphrase '' \(arguments) 2>>gpg.log"
        )
    }

    /// Makes a key that signs, and returns its fingerprint.
    func makeKey(_ name: String, expires: String = "never", time: String = "") throws -> String {
        let clock = time.isEmpty ? "" : "--faked-system-time \(time)"
        try gpg("\(clock) --quick-gen-key '\(name)' ed25519 sign \(expires)")
        try gpg("--with-colons --list-keys '=\(name)' > listing")
        let lines = try scratch.directory.readText("listing").split(separator: "\n").filter { $0.hasPrefix("fpr:") }
        guard let first = lines.first else { throw RktError(.failed, "gpg made no key") }
        return String(first.split(separator: ":")[1]).lowercased()
    }

    /// A public key in text form.
    func publicKey(_ fingerprint: String, binary: Bool = false) throws -> [UInt8] {
        try gpg("\(binary ? "" : "--armor") --export \(fingerprint) > exported")
        return try scratch.directory.read("exported")
    }

    /// Detached signatures of bytes.
    func sign(_ bytes: [UInt8], by signer: String, _ options: String = "--armor --detach-sign") throws -> [UInt8] {
        _ = try scratch.file("to-sign", bytes)
        try gpg("--local-user \(signer) \(options) --output signature to-sign")
        return try scratch.directory.read("signature")
    }
}

/// A key store below a configuration directory.
struct KeyStore {
    let scratch: Scratch
    let name: String

    var path: String { "\(scratch.path)/\(name)" }
    var keys: TrustedKeys { TrustedKeys(directories: [path]) }

    init(_ scratch: Scratch, _ name: String = "config") {
        self.scratch = scratch
        self.name = name
    }

    /// Puts a file there as a package or an administrator would, and returns its path.
    @discardableResult
    func put(_ place: String, _ file: String, _ contents: [UInt8]) throws -> String {
        let directory = try Directory.ensure(path: "\(path)/trustedkeys/\(place)")
        try directory.write(file, contents)
        return directory.path(of: file)
    }
}

extension [UInt8] {
    init(_ text: String) { self = Array(text.utf8) }
}
