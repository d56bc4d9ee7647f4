public import Manifests

/// Everything that decides how a pod's units and bundles look: the generators are functions of this and nothing else.
public struct PodPlan: Sendable {
    /// What isolates the pod.
    public enum Stage1: Sendable {
        /// Namespaces of its own, held by the pod's init.
        case units
        /// The host's namespaces and rights; the app only has its own root and mounts.
        case fly
        /// A container with a systemd of its own, which runs the apps' units.
        case nspawn
        /// A program of an image, which has units and bundles of its own if it needs some.
        case image
    }

    /// The pod's network.
    public enum Network: Sendable {
        /// A network namespace of its own.
        case none
        /// The host's.
        case host
    }

    /// Where the apps' output goes.
    public enum Journal: Sendable, Equatable {
        /// A journal namespace of the pod's own, which keeps at most so many bytes.
        case namespace(maximumUse: UInt64)
        /// The host's journal.
        case host
    }

    /// The pod.
    public var uuid: PodUUID
    /// The pod's host name.
    public var hostname: String
    /// What isolates the pod.
    public var stage1: Stage1
    /// The network.
    public var network: Network
    /// The journal.
    public var journal: Journal
    /// The data directory, absolute.
    public var dataDirectory: String
    /// The path of pod-init.
    public var podInit: String
    /// The path of the OCI runtime.
    public var runtime: String
    /// The apps.
    public var apps: [AppPlan]

    /// Plans a pod.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - hostname: The pod's host name.
    ///   - stage1: What isolates the pod.
    ///   - network: The network.
    ///   - journal: The journal.
    ///   - dataDirectory: The data directory, absolute.
    ///   - podInit: The path of pod-init.
    ///   - runtime: The path of the OCI runtime.
    ///   - apps: The apps.
    public init(
        uuid: PodUUID,
        hostname: String,
        stage1: Stage1,
        network: Network,
        journal: Journal,
        dataDirectory: String,
        podInit: String,
        runtime: String,
        apps: [AppPlan]
    ) {
        self.uuid = uuid
        self.hostname = hostname
        self.stage1 = stage1
        self.network = network
        self.journal = journal
        self.dataDirectory = dataDirectory
        self.podInit = podInit
        self.runtime = runtime
        self.apps = apps
    }
}

/// An app of a pod, with everything resolved: numbers instead of names, one argument vector, one environment.
public struct AppPlan: Sendable {
    /// The app's name.
    public var name: ACName
    /// The image's name, for people.
    public var imageName: String
    /// The argument vector; its first element is the program.
    public var arguments: [String]
    /// The environment, in order.
    public var environment: [(String, String)]
    /// The working directory, absolute.
    public var workingDirectory: String
    /// The user.
    public var uid: UInt32
    /// The group.
    public var gid: UInt32
    /// The supplementary groups.
    public var supplementaryGroups: [UInt32] = []
    /// Whether the root file system is read-only.
    public var readOnlyRootFS = false
    /// The signal that asks the app to end, by its number.
    public var stopSignal: Int32 = 15
    /// The capabilities the app may ever have.
    public var capabilities: [Capability] = Capability.defaults
    /// Whether system calls are filtered.
    public var filtersSystemCalls = true
    /// Whether the app can gain no privilege by executing a program.
    public var noNewPrivileges = true
    /// Whether the kernel's interfaces are hidden and read-only as usual.
    public var hidesPaths = true
    /// The kernel's preference for killing the app when memory is short.
    public var oomScoreAdjustment: Int?

    /// Plans an app.
    ///
    /// - Parameters:
    ///   - name: The app's name.
    ///   - imageName: The image's name.
    ///   - arguments: The argument vector.
    ///   - environment: The environment.
    ///   - workingDirectory: The working directory.
    ///   - uid: The user.
    ///   - gid: The group.
    public init(
        name: ACName,
        imageName: String,
        arguments: [String],
        environment: [(String, String)],
        workingDirectory: String,
        uid: UInt32,
        gid: UInt32
    ) {
        self.name = name
        self.imageName = imageName
        self.arguments = arguments
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.uid = uid
        self.gid = gid
    }
}
