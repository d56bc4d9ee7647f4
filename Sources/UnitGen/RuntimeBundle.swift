internal import Diagnostics
internal import Manifests

extension PodPlan {
    /// The `config.json` of an app's bundle (OCI runtime specification 1.0.2).
    ///
    /// The runtime finds the pod's namespaces below `/run/rkt/ns`, where the app's launcher binds them for it.
    ///
    /// - Parameters:
    ///   - app: The app.
    ///   - architecture: The machine that will run it.
    /// - Returns: The JSON.
    /// - Throws: ``RktError`` with `invalidArgument`, naming the field that cannot be expressed.
    public func runtimeConfiguration(
        for app: AppPlan,
        architecture: MachineArchitecture = .current
    ) throws -> [UInt8] {
        var filters = SeccompTexts(architecture: architecture)
        return try runtimeConfiguration(for: app, &filters)
    }

    /// The `config.json` of every app's bundle.
    ///
    /// - Returns: The JSON of each, in the order of the apps.
    /// - Throws: ``RktError`` as ``runtimeConfiguration(for:architecture:)``.
    public func runtimeConfigurations() throws -> [(app: AppPlan, json: [UInt8])] {
        var filters = SeccompTexts(architecture: .current)
        return try apps.map { ($0, try runtimeConfiguration(for: $0, &filters)) }
    }

    private func runtimeConfiguration(for app: AppPlan, _ filters: inout SeccompTexts) throws -> [UInt8] {
        try app.validate()
        let filter = app.filtersSystemCalls ? filters.text(for: app.capabilities) : nil
        return RuntimeBundle(app: app, pod: self, seccomp: filter).json.bytes
    }
}

/// Filters as JSON: the greater part of a bundle, and the same for all apps with the same capabilities.
private struct SeccompTexts {
    let architecture: MachineArchitecture
    private var known: [[Capability]: [UInt8]] = [:]

    init(architecture: MachineArchitecture) { self.architecture = architecture }

    mutating func text(for capabilities: [Capability]) -> [UInt8] {
        if let text = known[capabilities] { return text }
        let text = SeccompProfile(capabilities: capabilities, architecture: architecture).json.bytes
        known[capabilities] = text
        return text
    }
}

extension PodPlan {
    /// A bundle's `config.json` that does nothing but have the runtime compile an app's filter of system calls, which
    /// it keeps: a pod that is a machine is given what is kept, as in there each app would compile it anew.
    ///
    /// - Parameter app: The app.
    /// - Returns: The JSON; nil where nothing is to be compiled.
    public func filterConfiguration(for app: AppPlan) -> [UInt8]? {
        guard stage1 == .nspawn, app.filtersSystemCalls else { return nil }
        return Self.compiling(SeccompProfile(capabilities: app.capabilities, architecture: .current))
    }

    /// The same with the filter for all of a machine: the same text for every pod, as it is compiled once for all of
    /// them.
    ///
    /// - Returns: The JSON; nil where the pod is no machine.
    public func machineFilterConfiguration() -> [UInt8]? {
        guard stage1 == .nspawn else { return nil }
        return Self.compiling(SeccompProfile(forMachineOn: .current))
    }

    private static func compiling(_ filter: SeccompProfile) -> [UInt8] {
        let nobody = RuntimeBundle.Process.Capabilities(bounding: [], effective: [], permitted: [])
        let bundle = RuntimeBundle(
            process: RuntimeBundle.Process(
                user: RuntimeBundle.Process.User(uid: 0, gid: 0, additionalGids: []),
                args: ["/usr/bin/true"],
                env: [],
                cwd: "/",
                capabilities: nobody,
                noNewPrivileges: true
            ),
            // The host's root as a container's: the runtime gives up when it comes to that.
            root: RuntimeBundle.Root(path: "/", readonly: true),
            mounts: [],
            linux: RuntimeBundle.Linux(
                namespaces: [RuntimeBundle.Linux.Namespace(type: "mount")],
                maskedPaths: [],
                readonlyPaths: [],
                seccomp: filter.json.bytes
            )
        )
        return bundle.json.bytes
    }
}

/// The parts of the OCI runtime configuration that are used here.
struct RuntimeBundle {
    struct Process {
        struct User {
            var uid: UInt32
            var gid: UInt32
            var additionalGids: [UInt32]
            var umask: UInt32 = 0o22
        }
        struct Capabilities {
            var bounding: [String]
            var effective: [String]
            var permitted: [String]
        }

        var terminal = false
        var user: User
        var args: [String]
        var env: [String]
        var cwd: String
        var capabilities: Capabilities
        var noNewPrivileges: Bool
        var oomScoreAdj: Int?
    }
    struct Root {
        var path = "rootfs"
        var readonly: Bool
    }
    struct Mount {
        var destination: String
        var type: String
        var source: String
        var options: [String]

        init(_ destination: String, _ type: String, _ source: String, _ options: [String]) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
        }
    }
    struct Linux {
        struct Namespace {
            var type: String
            var path: String?
        }

        var namespaces: [Namespace]
        var rootfsPropagation: String?
        var maskedPaths: [String]
        var readonlyPaths: [String]
        /// JSON already.
        var seccomp: [UInt8]?
    }

    // No host name, as it is the pod's; no resources, as they are the unit's.
    var ociVersion = "1.0.2"
    var process: Process
    var root: Root
    var mounts: [Mount]
    var linux: Linux
}

extension RuntimeBundle {
    init(app: AppPlan, pod: PodPlan, seccomp: [UInt8]?) {
        // Neither inheritable nor ambient ones: an app that is not root has none until it executes a file that gives
        // some, and the kernel takes the other two sets from it when it starts.
        let capabilities = app.capabilities.map(\.description)
        process = Process(
            user: Process.User(uid: app.uid, gid: app.gid, additionalGids: app.supplementaryGroups),
            args: app.arguments,
            env: app.environment.map { "\($0.0)=\($0.1)" },
            cwd: app.workingDirectory,
            capabilities: Process.Capabilities(
                bounding: capabilities,
                effective: capabilities,
                permitted: capabilities
            ),
            noNewPrivileges: app.noNewPrivileges,
            oomScoreAdj: app.oomScoreAdjustment
        )
        root = Root(readonly: app.readOnlyRootFS)
        mounts = Self.mounts(of: pod)
        linux = Linux(
            namespaces: Self.namespaces(of: pod),
            // The runtimes' own choice would cut the host's mounts off; the launcher has made slaves of them all.
            rootfsPropagation: pod.stage1 == .fly ? "slave" : nil,
            maskedPaths: app.hidesPaths ? Self.maskedPaths : [],
            readonlyPaths: app.hidesPaths ? Self.readonlyPaths : [],
            seccomp: seccomp
        )
    }
}

// MARK: JSON

extension RuntimeBundle {
    var json: JSONText {
        .object([
            ("ociVersion", .string(ociVersion)), ("process", process.json), ("root", root.json),
            ("mounts", .list(mounts.map(\.json))), ("linux", linux.json),
        ])
    }
}

extension RuntimeBundle.Process {
    fileprivate var json: JSONText {
        .object([
            ("terminal", .flag(terminal)),
            (
                "user",
                .object([
                    ("uid", .number(Int(user.uid))), ("gid", .number(Int(user.gid))),
                    ("umask", .number(Int(user.umask))),
                    ("additionalGids", .list(user.additionalGids.map { .number(Int($0)) })),
                ])
            ),
            ("args", .strings(args)), ("env", .strings(env)), ("cwd", .string(cwd)),
            (
                "capabilities",
                .object([
                    ("bounding", .strings(capabilities.bounding)), ("effective", .strings(capabilities.effective)),
                    ("permitted", .strings(capabilities.permitted)),
                ])
            ),
            ("noNewPrivileges", .flag(noNewPrivileges)), ("oomScoreAdj", oomScoreAdj.map { .number($0) }),
        ])
    }
}

extension RuntimeBundle.Root {
    fileprivate var json: JSONText { .object([("path", .string(path)), ("readonly", .flag(readonly))]) }
}

extension RuntimeBundle.Mount {
    fileprivate var json: JSONText {
        .object([
            ("destination", .string(destination)), ("type", .string(type)), ("source", .string(source)),
            ("options", .strings(options)),
        ])
    }
}

extension RuntimeBundle.Linux {
    fileprivate var json: JSONText {
        .object([
            ("namespaces", .list(namespaces.map(\.json))),
            ("rootfsPropagation", rootfsPropagation.map { .string($0) }), ("maskedPaths", .strings(maskedPaths)),
            ("readonlyPaths", .strings(readonlyPaths)), ("seccomp", seccomp.map { .ready($0) }),
        ])
    }
}

extension RuntimeBundle.Linux.Namespace {
    fileprivate var json: JSONText { .object([("type", .string(type)), ("path", path.map { .string($0) })]) }
}
