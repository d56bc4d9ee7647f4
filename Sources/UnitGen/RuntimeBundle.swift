internal import Diagnostics
internal import FoundationEssentials
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
        try app.validate()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(RuntimeBundle(app: app, pod: self, architecture: architecture)))
    }
}

extension PodPlan {
    /// A bundle's `config.json` that does nothing but have the runtime compile an app's filter of system calls, which it keeps:
    /// a pod that is a machine is given what is kept, as in there each app would compile it anew.
    ///
    /// - Parameter app: The app.
    /// - Returns: The JSON; nil where nothing is to be compiled.
    /// - Throws: ``RktError`` when the app cannot be expressed.
    public func filterConfiguration(for app: AppPlan) throws -> [UInt8]? {
        guard stage1 == .nspawn, app.filtersSystemCalls else { return nil }
        return try Self.compiling(SeccompProfile(capabilities: app.capabilities, architecture: .current))
    }

    /// The same with the filter for all of a machine: the same text for every pod, as it is compiled once for all of them.
    ///
    /// - Returns: The JSON; nil where the pod is no machine.
    /// - Throws: ``RktError`` when it cannot be expressed.
    public func machineFilterConfiguration() throws -> [UInt8]? {
        guard stage1 == .nspawn else { return nil }
        return try Self.compiling(SeccompProfile(forMachineOn: .current))
    }

    private static func compiling(_ filter: SeccompProfile) throws -> [UInt8] {
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
                seccomp: filter
            )
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(bundle))
    }
}

/// The parts of the OCI runtime configuration that are used here.
struct RuntimeBundle: Encodable {
    struct Process: Encodable {
        struct User: Encodable {
            var uid: UInt32
            var gid: UInt32
            var additionalGids: [UInt32]
            var umask: UInt32 = 0o22
        }
        struct Capabilities: Encodable {
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
    struct Root: Encodable {
        var path = "rootfs"
        var readonly: Bool
    }
    struct Mount: Encodable {
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
    struct Linux: Encodable {
        struct Namespace: Encodable {
            var type: String
            var path: String?
        }

        var namespaces: [Namespace]
        var rootfsPropagation: String?
        var maskedPaths: [String]
        var readonlyPaths: [String]
        var seccomp: SeccompProfile?
    }

    // No host name, as it is the pod's; no resources, as they are the unit's.
    var ociVersion = "1.0.2"
    var process: Process
    var root: Root
    var mounts: [Mount]
    var linux: Linux
}

extension RuntimeBundle {
    init(app: AppPlan, pod: PodPlan, architecture: MachineArchitecture) {
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
            seccomp: app.filtersSystemCalls
                ? SeccompProfile(capabilities: app.capabilities, architecture: architecture) : nil
        )
    }
}
