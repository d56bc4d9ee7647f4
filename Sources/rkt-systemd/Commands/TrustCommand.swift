internal import ArgumentParser
internal import Diagnostics
internal import Pods

struct TrustCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trust",
        abstract: "Say whose signatures of images count.",
        discussion:
            "Adds public keys of OpenPGP, which sign ACIs, or of sigstore (PEM), which sign images in registries. A key is "
            + "the path of a file, or a URL; without one, those are looked for that the owner of the prefix publishes."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Option(help: ArgumentHelp("The images the key is for: the beginning of their names, in whole components."))
    var prefix: String?

    @Flag(help: "Trust the key for all images.")
    var root = false

    @Flag(help: "Do not ask whether the fingerprint is the right one.")
    var skipFingerprintReview = false

    @Flag(help: "Let keys come unencrypted.")
    var insecureAllowHttp = false

    @Flag(help: "Show which keys are trusted.")
    var list = false

    @Flag(help: "Print no line of titles.")
    var noLegend = false

    @Argument(help: ArgumentHelp("The keys: paths, or http or https URLs.", valueName: "pubkey"))
    var keys: [String] = []

    private func check() throws {
        if list {
            guard keys.isEmpty, prefix == nil, !root else {
                throw RktError(.invalidArgument, "--list takes neither keys, nor --prefix, nor --root")
            }
            return
        }
        guard prefix == nil || !root else {
            throw RktError(.invalidArgument, "--root and --prefix exclude each other: a root key is for all images")
        }
        guard prefix != nil || root || keys.isEmpty else {
            throw RktError(
                .invalidArgument,
                "say what the key is for: --prefix=NAME, or --root to trust it for the images of all domains"
            )
        }
        guard prefix != nil || !keys.isEmpty else {
            throw RktError(
                .invalidArgument,
                "nothing to trust: give keys with --prefix=NAME or --root, or --prefix=NAME alone to look for its keys"
            )
        }
    }

    func run() throws {
        try check()
        let trust = try KeyTrust(
            directories: global.keyDirectories,
            insecure: try global.insecure(),
            allowsHTTP: insecureAllowHttp
        )
        if list { return try show(trust) }
        let scope = prefix.map(KeyTrust.Scope.prefix) ?? .all
        try trust.check(scope)
        let locations = try keys.isEmpty ? trust.discover(prefix: prefix ?? "") : keys
        var added = 0
        for location in locations {
            let review = TrustReview(key: try trust.candidate(location), prefix: prefix)
            StandardError.print(review.text)
            guard try skipFingerprintReview || review.ask() else {
                StandardError.print(review.refusal)
                continue
            }
            StandardError.print(review.acceptance(afterReview: !skipFingerprintReview))
            StandardError.print(review.addition(try trust.add(review.key, for: scope)))
            added += 1
        }
        if added == 0 { throw RktError(.cancelled, "no key was added") }
    }

    private func show(_ trust: KeyTrust) throws {
        var table = Table()
        if !noLegend { table.add(["PREFIX", "KIND", "FINGERPRINT", "IDENTITY"]) }
        for entry in try trust.list() {
            let prefix = entry.prefix ?? "(all images)"
            table.add([prefix, entry.kind, entry.fingerprint, entry.identities.joined(separator: ", ")])
        }
        print(TerminalText.forOutput(table.text), terminator: "")
    }
}
