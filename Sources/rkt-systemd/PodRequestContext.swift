internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Pods

/// A command line of `run` or `prepare`, as a request.
struct PodRequestContext {
    let data: DataDirectory
    let debug: Bool
    private let directories: [String]
    private let keyDirectories: [String]
    private let trustsHTTPS: Bool
    private let paths: PathSettings
    let stages: StageClock
    private let request: PodRequest
    private let stage1: Stage1Choice
    private let signatures: [String?]
    private let policy: ImageAccess.PullPolicy
    private let uuidFile: String?
    private let quiet: Bool

    /// Reads a command line.
    ///
    /// - Parameters:
    ///   - arguments: The command line, checked.
    ///   - command: The command, for the stages' names.
    /// - Throws: ``RktError`` for values that cannot be, and files that cannot be read.
    init(_ arguments: RunArguments, command: String) throws {
        let flags = arguments.podFlags
        debug = flags.bool("debug") ?? false
        directories = Self.directories(flags)
        keyDirectories = directories.prefix(2).map(AbsolutePath.of)
        trustsHTTPS = flags.bool("trust-keys-from-https") ?? false
        stages = GlobalOptions.stages(command, wanted: debug)
        paths = try PathSettings(directories: directories)
        data = DataDirectory(
            path: flags.string("dir").map(AbsolutePath.of) ?? paths.data ?? DataDirectory.defaultPath
        )
        quiet = flags.bool("quiet") ?? false
        uuidFile = flags.string("uuid-file-save")
        policy = ImageAccess.PullPolicy(rawValue: RunFlags.pullPolicy(flags)) ?? .new
        signatures = arguments.apps.map { $0.flags.string("signature") }

        var request = PodRequest(apps: try arguments.apps.map(Self.app))
        request.hostname = flags.string("hostname")
        request.network = flags.string("net") == "host" ? .host : .none
        request.journal = flags.string("journal") == "host" ? .host : .namespace
        stage1 =
            try RunFlags.stage1(flags) ?? Stage1Settings(directories: directories).choice()
            ?? .builtIn(.units)
        switch stage1 {
        case .builtIn(let own): request.stage1 = own
        case .image: request.stage1 = .image
        }
        try RunFlags.validateNetwork(flags, isFly: request.stage1 == .fly)
        request.debug = debug
        if let directory = flags.string("local-config") { request.localConfiguration = AbsolutePath.of(directory) }
        request.privateUsers = flags.bool("private-users") ?? false
        request.insecure = try GlobalOptions.insecure(flags.string("insecure-options") ?? "none")
        request.environment = try Self.environment(flags)
        if flags.bool("inherit-env") == true {
            request.inheritedEnvironment = try InheritedEnvironment.read()
        }
        try request.validate()
        self.request = request
        if request.stage1 == .fly {
            for flag in RunFlags.ignoredByFly(arguments) {
                StandardError.print("rkt: warning: stage1 fly ignores \(flag)\n")
            }
        }
    }

    /// Prepares the pod.
    ///
    /// - Parameter ahead: What is to be begun for a start that follows at once; the pod need not outlive a power loss
    ///   then.
    /// - Returns: The pod.
    /// - Throws: ``RktError`` when it could not be prepared; then nothing of it is left.
    func prepare(ahead: StartAhead? = nil) throws -> PodDirectory {
        let style = Progress.Style.of(2, quiet: quiet)
        let progress = Progress(style) { StandardError.print($0) }
        defer { progress.close() }
        var images = try ImageAccess(
            data: data,
            policy: policy,
            insecure: request.insecure,
            credentials: UserCredentials.source(directories: directories),
            trust: UserTrust.source(
                directories: keyDirectories,
                trustsHTTPS: trustsHTTPS,
                progress: progress
            )
        ) { item, done, total in
            progress.update(item, done: UInt64(max(done, 0)), total: total.map { UInt64(max($0, 0)) })
        }
        images.note = Notes.sink(isWanted: debug)
        var request = request
        let installation = try Installation()
        if case .image(let source) = stage1 {
            let image = try images.stage1(
                source,
                directory: paths.stage1Images,
                trusted: installation.stage1Images
            )
            for flag in image.ignored(request) { StandardError.print("rkt: warning: ignored: \(flag)\n") }
            request.stage1Image = image
        }
        var podImages: [PodImage] = []
        for (app, signature) in zip(request.apps, signatures) {
            // Apps of one image have the very same one.
            let same = podImages.indices.first { request.apps[$0].image == app.image && signatures[$0] == signature }
            podImages.append(
                try same.map { podImages[$0] } ?? images.podImage(app.image, signature: signature)
            )
        }
        stages.mark("images")
        ahead?.begin()
        request.durable = ahead == nil
        let preparation = PodPreparation(data: data, installation: installation, stages: stages)
        return try preparation.run(request, images: podImages) { uuid in
            if let uuidFile { try UUIDFile.write("\(uuid)", to: uuidFile) }
        } warn: {
            StandardError.print("rkt: warning: \($0)\n")
        }
    }

    /// The configuration directories, lowest first.
    private static func directories(_ flags: FlagValues) -> [String] {
        let own = [("system-config", "/usr/lib/rkt"), ("local-config", "/etc/rkt")]
        return own.map { flags.string($0.0) ?? $0.1 } + flags.strings("user-config")
    }

    private static func app(_ app: RunArguments.AppArguments) throws -> PodRequest.App {
        let flags = app.flags
        var result = PodRequest.App(image: app.image)
        result.arguments = app.arguments
        result.name = flags.string("name")
        result.exec = flags.string("exec")
        result.environment = flags.pairs("environment").map { ($0.key, $0.value) }
        result.user = flags.string("user")
        result.group = flags.string("group")
        result.supplementaryGroups = flags.list("supplementary-gids")?.compactMap { UInt32($0) }
        result.workingDirectory = flags.string("working-dir")
        result.readOnlyRootFS = flags.bool("readonly-rootfs") ?? false
        result.capabilitiesToRetain = flags.list("caps-retain")
        result.capabilitiesToRemove = flags.list("caps-remove")
        result.oomScoreAdjustment = flags.string("oom-score-adj").flatMap { Int($0) }
        result.annotations = flags.pairs("annotation").map { ($0.key, $0.value) }
        result.userAnnotations = flags.pairs("user-annotation").map { ($0.key, $0.value) }
        result.userLabels = flags.pairs("user-label").map { ($0.key, $0.value) }
        return result
    }

    /// `--set-env` over `--set-env-file`.
    private static func environment(_ flags: FlagValues) throws -> [(String, String)] {
        var result: [(String, String)] = []
        func override(_ name: String, _ value: String) {
            result.removeAll { FlagValue.isSame($0.0, name) }
            result.append((name, value))
        }
        for path in flags.strings("set-env-file") {
            let bytes = try UUIDFile.open(path).readAll(limit: EnvironmentFile.sizeLimit, name: path)
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw RktError(.invalidData, "\(path) is not UTF-8 text: a pod's environment can hold no other")
            }
            for pair in try EnvironmentFile.parse(text, path: path) { override(pair.name, pair.value) }
        }
        for pair in flags.pairs("set-env") { override(pair.key, pair.value) }
        return result
    }
}
