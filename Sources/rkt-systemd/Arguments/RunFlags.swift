internal import Diagnostics
internal import Pods

/// The flags of `run` and `prepare`, those of rkt 1.30, and of every command.
enum RunFlags {
    /// The table for `run`.
    ///
    /// - Parameter insecureOptions: The names that `--insecure-options` takes.
    /// - Returns: The flags.
    static func run(insecureOptions: [String]) -> FlagTable {
        FlagTable(pod + runOnly + app + global(insecureOptions: insecureOptions) + notYet)
    }

    /// The table for `prepare`.
    ///
    /// - Parameter insecureOptions: The names that `--insecure-options` takes.
    /// - Returns: The flags.
    static func prepare(insecureOptions: [String]) -> FlagTable {
        FlagTable(pod + app + global(insecureOptions: insecureOptions) + notYet)
    }

    /// Checks what no single flag can tell.
    ///
    /// - Parameter arguments: What the command line says.
    /// - Throws: ``RktError`` with `invalidArgument` or `unsupported`.
    static func validate(_ arguments: RunArguments) throws {
        let flags = arguments.podFlags
        guard flags.bool("store-only") != true || flags.bool("no-store") != true else {
            throw RktError(.invalidArgument, "both --store-only and --no-store specified")
        }
        if flags.bool("detach") == true, flags.bool("rm") == true { throw cannotRemoveDetached }
        guard !arguments.apps.isEmpty else {
            throw RktError(.invalidArgument, "must provide at least one image")
        }
        for app in arguments.apps where app.flags.list("caps-retain") != nil && app.flags.list("caps-remove") != nil {
            throw RktError(
                .invalidArgument,
                "cannot use both --caps-retain and --caps-remove on the same image (\(FlagValue.quoted(app.image)))"
            )
        }
    }

    /// Checks the network, which depends on the stage1.
    ///
    /// - Parameters:
    ///   - flags: The pod's flags.
    ///   - isFly: Whether the pod has the host's network whatever they say.
    /// - Throws: ``RktError`` with `unsupported`.
    static func validateNetwork(_ flags: FlagValues, isFly: Bool) throws {
        guard let network = flags.string("net"), network != "none", network != "host", !isFly else { return }
        throw RktError(
            .unsupported,
            "network \(FlagValue.quoted(network)) is not supported yet: use --net=none or --net=host"
        )
    }

    /// The stage1 that the flags choose; nil when there is none.
    ///
    /// - Parameter flags: The pod's flags.
    /// - Returns: The choice.
    /// - Throws: ``RktError`` for values that cannot be.
    static func stage1(_ flags: FlagValues) throws -> Stage1Choice? {
        for name in Stage1Choice.flags {
            if let value = flags.string(name) { return try Stage1Choice(flag: name, value) }
        }
        return nil
    }

    /// A pod is removed by who waits for its end.
    static let cannotRemoveDetached = RktError(
        .invalidArgument,
        "--rm needs a run in the foreground, not --detach: rkt gc removes pods that have ended"
    )

    /// When images are to be fetched: `new`, `update` or `never`, however it was said.
    ///
    /// - Parameter flags: The pod's flags.
    /// - Returns: The policy.
    static func pullPolicy(_ flags: FlagValues) -> String {
        if flags.bool("store-only") == true { return "never" }
        if flags.bool("no-store") == true { return "update" }
        return flags.string("pull-policy") ?? "new"
    }

    /// The flags given that change nothing for an app that runs on the host with the host's rights.
    ///
    /// Those that would lift what fly does not impose are not among them: nobody gets other than asked for.
    ///
    /// - Parameter arguments: What the command line says.
    /// - Returns: Each with the reason, for people.
    static func ignoredByFly(_ arguments: RunArguments) -> [String] {
        var result: [String] = []
        if let network = arguments.podFlags.string("net"), network != "host" {
            result.append("--net: the app is on the host's network")
        }
        if arguments.podFlags.string("hostname") != nil { result.append("--hostname: the host's name stays") }
        let capabilities = ["caps-retain", "caps-remove"].filter { flag in
            arguments.apps.contains { $0.flags.list(flag) != nil }
        }
        return result + capabilities.map { "--\($0): the app has the host's capabilities" }
    }

    private static let pod: [FlagSpecification] = [
        FlagSpecification("inherit-env", .pod, .bool, help: "Give apps the caller's environment where they have none"),
        FlagSpecification("set-env", .pod, .required, .collectsKeys, help: "Set KEY=VALUE for all apps") {
            guard FlagValue.pair($0) != nil else { throw RktError(.invalidArgument, "must be specified as key=value") }
        },
        FlagSpecification("set-env-file", .pod, .required, .collects, help: "Set what a file of KEY=VALUE lines says") {
            try FlagValue.checkLine($0)
        },
        FlagSpecification("pull-policy", .pod, help: "When to fetch images: new, update or never") {
            try FlagValue.check($0, isOneOf: ["new", "update", "never"])
        },
        FlagSpecification("store-only", .pod, .bool, help: nil),
        FlagSpecification("no-store", .pod, .bool, help: nil),
        stage1("stage1-name", help: "What runs the pod: units, fly, nspawn or an image of the store"),
        stage1("stage1-path", help: "What runs the pod: an image, a file"),
        stage1("stage1-hash", help: "What runs the pod: an image of the store, by its id"),
        stage1("stage1-from-dir", help: "What runs the pod: an image, a file of rkt's stage1-images"),
        stage1("stage1-url", help: "What runs the pod: an image at a URL: file, https or docker"),
        FlagSpecification("private-users", .pod, .bool, help: "Give the pod users of its own (stage1 nspawn)"),
        FlagSpecification("journal", .pod, help: "Where apps log: host or namespace (one for the pod)") {
            try FlagValue.check($0, isOneOf: ["host", "namespace"])
        },
        FlagSpecification("quiet", .pod, .bool, help: "Print nothing but the result"),
        FlagSpecification("no-overlay", .pod, .bool, help: nil) {
            guard try FlagValue.bool($0) else { return }
            throw RktError(.unsupported, "--no-overlay is not supported yet: apps run on an overlay of their image")
        },
    ]

    private static let runOnly: [FlagSpecification] = [
        FlagSpecification("net", .pod, .optional(bare: "default"), help: "The pod's network: none or host"),
        FlagSpecification("hostname", .pod, help: "The pod's host name; rkt-UUID if not given") { name in
            let labels = name.split(separator: ".", omittingEmptySubsequences: false)
            let isName = labels.allSatisfy { label in
                !label.isEmpty && label.first != "-" && label.last != "-"
                    && label.utf8.allSatisfy { $0 == UInt8(ascii: "-") || isLetterOrDigit($0) }
            }
            guard name.utf8.count <= 64, isName else {
                throw RktError(.invalidArgument, "a host name has up to 64 letters, digits, dots and inner dashes")
            }
        },
        FlagSpecification("uuid-file-save", .pod, help: "Write the pod's UUID to a file") {
            try FlagValue.checkLine($0)
        },
        FlagSpecification("detach", .pod, .bool, help: "Return when the pod has started"),
        FlagSpecification("rm", .pod, .bool, help: "Remove the pod, its files and its log when it has ended"),
    ]

    private static let app: [FlagSpecification] = [
        FlagSpecification("name", .app, help: "The app's name; made of the image's if not given") {
            try FlagValue.checkName($0)
        },
        FlagSpecification("exec", .app, .required, .once, help: "Run this instead of the image's program") {
            guard !$0.isEmpty else { throw RktError(.invalidArgument, "it must not be empty") }
        },
        FlagSpecification("signature", .app, .required, .once, help: "The image's detached signature, a file") {
            try FlagValue.checkLine($0)
        },
        FlagSpecification("environment", .app, .required, .collects, help: "Set KEY=VALUE in the app's environment") {
            try checkPair($0, "environment")
        },
        FlagSpecification("user", .app, help: "The user to run as: a name, a number, or a file of the image") {
            try FlagValue.checkLine($0)
        },
        FlagSpecification("group", .app, help: "The group to run as: a name, a number, or a file of the image") {
            try FlagValue.checkLine($0)
        },
        FlagSpecification("supplementary-gids", .app, help: "Further groups, comma-separated numbers; none if empty") {
            list in
            // Nothing is no group. The largest id means "none" to the kernel.
            for gid in list.isEmpty ? [] : FlagValue.list(list) where UInt32(gid).map({ $0 == .max }) ?? true {
                throw RktError(.invalidArgument, "--supplementary-gids must be integers")
            }
        },
        FlagSpecification("working-dir", .app, help: "The app's working directory") {
            try FlagValue.checkLine($0)
            guard $0.utf8.first == UInt8(ascii: "/") else {
                throw RktError(.invalidArgument, "it must be an absolute path")
            }
        },
        FlagSpecification("readonly-rootfs", .app, help: "Whether the app's root file system is read-only") {
            guard (try? FlagValue.bool($0)) != nil else {
                throw RktError(.invalidArgument, "--readonly-rootfs must be set with a boolean")
            }
        },
        capabilities("caps-retain", "caps-retain", help: "The only capabilities to keep, comma-separated"),
        capabilities("caps-remove", "caps-remove", help: "Capabilities to take away, comma-separated"),
        capabilities("cap-retain", "caps-retain", help: nil),
        capabilities("cap-remove", "caps-remove", help: nil),
        FlagSpecification("oom-score-adj", .app, help: "The kernel's wish to kill the app, -1000 to 1000") {
            _ = try FlagValue.integer($0, in: -1000...1000)
        },
        FlagSpecification("annotation", .app, .required, .collects, help: "Add the annotation NAME=VALUE") {
            try FlagValue.checkName(try checkPair($0, "annotation"), separators: "-._~/")
        },
        FlagSpecification("user-annotation", .app, .required, .collects, help: "Set the annotation NAME=VALUE") {
            try checkPair($0, "user-annotation")
        },
        FlagSpecification("user-label", .app, .required, .collects, help: "Set the label NAME=VALUE") {
            try checkPair($0, "user-label")
        },
    ]

    private static func global(insecureOptions: [String]) -> [FlagSpecification] {
        let directories = ["dir", "system-config", "local-config", "user-config"].map { name in
            FlagSpecification(name, .global, help: nil) {
                guard !$0.isEmpty else { throw RktError(.invalidArgument, "\"\" is not a valid directory") }
            }
        }
        return directories + [
            FlagSpecification("debug", .global, .bool, help: nil),
            FlagSpecification("trust-keys-from-https", .global, .bool, help: nil),
            FlagSpecification("insecure-options", .global, help: nil) {
                try FlagValue.check($0, listsOnly: insecureOptions)
            },
        ]
    }

    /// What rkt had and this one has not yet: known, so that the message is not "unknown flag".
    private static let notYet: [FlagSpecification] =
        [
            "pod-manifest", "port", "interactive", "dns", "dns-search", "dns-opt", "dns-domain",
            "hosts-entry", "mds-register", "volume", "mount", "ipc", "memory", "cpu", "cpu-shares", "seccomp", "stdin",
            "stdout", "stderr",
        ].map { name in
            let isSwitch = ["interactive", "mds-register"].contains(name)
            return FlagSpecification(name, .pod, isSwitch ? .bool : .required, help: nil) { value in
                if isSwitch, try !FlagValue.bool(value) { return }
                throw RktError(.unsupported, "--\(name) is not supported yet")
            }
        }

    private static func stage1(_ name: String, help: String) -> FlagSpecification {
        FlagSpecification(name, .pod, .required, .oneOf(Stage1Choice.flags), help: help) {
            _ = try Stage1Choice(flag: name, $0)
        }
    }

    private static func capabilities(_ name: String, _ key: String, help: String?) -> FlagSpecification {
        FlagSpecification(name, .app, key: key, help: help) { list in
            for capability in FlagValue.list(list) {
                let name = capability.utf8.dropFirst(4)
                let isName = name.allSatisfy { $0 == UInt8(ascii: "_") || 0x41...0x5a ~= $0 || 0x30...0x39 ~= $0 }
                guard capability.hasPrefix("CAP_"), !name.isEmpty, isName else {
                    throw RktError(
                        .invalidArgument,
                        "\(FlagValue.quoted(capability)) is not a capability such as CAP_NET_ADMIN"
                    )
                }
            }
        }
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        0x61...0x7a ~= byte || 0x41...0x5a ~= byte || 0x30...0x39 ~= byte
    }

    /// Checks `KEY=VALUE` and gives the key.
    @discardableResult
    private static func checkPair(_ text: String, _ flag: String) throws -> String {
        guard let pair = FlagValue.pair(text) else {
            throw RktError(
                .invalidArgument,
                "invalid format of --\(flag) flag \(FlagValue.quoted(text)): it must be NAME=VALUE"
            )
        }
        return pair.key
    }
}
