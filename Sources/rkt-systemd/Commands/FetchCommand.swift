internal import ArgumentParser
internal import Diagnostics
internal import ImageStore
internal import Pods

struct FetchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fetch",
        abstract: "Bring images into the store and print their ids.",
        discussion:
            "An image is the path of an OCI image layout (a directory or a tar), a `docker save` tar, or an ACI; "
            + "docker://[HOST[:PORT]/]NAME[:TAG|@DIGEST] in a registry; NAME[:VERSION][,LABEL=VALUE…], which is discovered, "
            + "or https://HOST/PATH.aci, with their signatures beside them."
    )

    @OptionGroup(title: "Global options")
    var global: GlobalOptions

    @Flag(help: "Print whole ids.")
    var full = false

    @Flag(help: "Show no progress.")
    var quiet = false

    @Option(help: ArgumentHelp("When to fetch: new, update or never.", valueName: "policy"))
    var pullPolicy = PullPolicyOption.update

    @Option(help: ArgumentHelp("The detached signature of the image.", valueName: "file"))
    var signature: String?

    @Argument(help: ArgumentHelp("The images.", valueName: "image"))
    var images: [String] = []

    func run() throws {
        guard !images.isEmpty else { throw RktError(.invalidArgument, "must provide at least one image") }
        let progress = Progress(Progress.Style.of(2, quiet: quiet)) { StandardError.print($0) }
        defer { progress.close() }
        var access = try ImageAccess(
            data: try global.data(),
            policy: pullPolicy.policy,
            insecure: try global.insecure(),
            credentials: UserCredentials.source(directories: global.directories),
            trust: UserTrust.source(
                directories: global.keyDirectories,
                trustsHTTPS: global.trustKeysFromHttps,
                progress: progress
            )
        ) { item, done, total in
            progress.update(item, done: UInt64(max(done, 0)), total: total.map { UInt64(max($0, 0)) })
        }
        access.note = Notes.sink(isWanted: global.debug)
        let failures = FailureCount()
        let errors = ErrorReport(command: "fetch", debug: global.debug, isTerminal: TerminalText.isTerminal(2))
        // One that cannot be had is no reason to leave out the others.
        try access.obtain(images, signature: signature, acceptsID: false) { [full] _, result in
            switch result {
            case .success(let record): print(full ? record.id : ImageNaming.short(record.id, digits: 32))
            case .failure(let error):
                failures.add()
                progress.message(String(errors.text(for: error).dropLast()))
            }
        }
        if failures.count > 0 { throw ExitCode(ExitStatus.failure) }
    }
}

/// The values of `--pull-policy`.
enum PullPolicyOption: String, ExpressibleByArgument, CaseIterable {
    case new, update, never

    var policy: ImageAccess.PullPolicy { ImageAccess.PullPolicy(rawValue: rawValue) ?? .new }
}

/// How image ids are shown.
enum ImageNaming {
    /// The id with so many digits of its digest.
    static func short(_ id: String, digits: Int) -> String { String(id.prefix(7 + digits)) }
}
