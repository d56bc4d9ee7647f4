internal import Diagnostics

/// What a user asks for with `run` or `prepare`.
public struct PodRequest: Sendable {
    /// One app of the pod.
    public struct App: Sendable {
        /// The image: a name, a path or an id, as the user wrote it.
        public var image: String
        /// The app's name; nil for one made of the image's.
        public var name: String?
        /// The program to run instead of the image's.
        public var exec: String?
        /// More arguments, behind the image's own.
        public var arguments: [String] = []
        /// Environment that wins over the image's.
        public var environment: [(String, String)] = []
        /// The user instead of the image's.
        public var user: String?
        /// The group instead of the image's.
        public var group: String?
        /// Supplementary groups instead of the image's.
        public var supplementaryGroups: [UInt32]?
        /// The working directory instead of the image's.
        public var workingDirectory: String?
        /// Whether the app may not write to its root file system.
        public var readOnlyRootFS = false
        /// Just these capabilities.
        public var capabilitiesToRetain: [String]?
        /// The default capabilities without these.
        public var capabilitiesToRemove: [String]?
        /// The kernel's preference for killing the app when memory is short: -1000 to 1000.
        public var oomScoreAdjustment: Int?
        /// Annotations for the pod manifest.
        public var annotations: [(String, String)] = []
        /// The user's annotations instead of the image's.
        public var userAnnotations: [(String, String)] = []
        /// The user's labels instead of the image's.
        public var userLabels: [(String, String)] = []

        /// Asks for an image as it is.
        ///
        /// - Parameter image: The image.
        public init(image: String) {
            self.image = image
        }
    }

    /// The apps.
    public var apps: [App]
    /// The host name; nil for `rkt-UUID`.
    public var hostname: String?
    /// The network.
    public var network = RuntimeConfiguration.Network.none
    /// The journal.
    public var journal = RuntimeConfiguration.Journal.namespace
    /// What isolates the pod.
    public var stage1 = RuntimeConfiguration.Stage1.units
    /// The image that brings the stage1, where one does.
    public var stage1Image: Stage1Image?
    /// Whether a stage1 that is an image is to say more.
    public var debug = false
    /// This machine's configuration, for a stage1 that is an image.
    public var localConfiguration = "/etc/rkt"
    /// Whether the pod has users of its own, none of which is one of the host's.
    public var privateUsers = false
    /// Environment that wins over everything else, for all apps.
    public var environment: [(String, String)] = []
    /// Environment that apps get where they have none of that name.
    public var inheritedEnvironment: [(String, String)] = []
    /// The OCI runtime's name or absolute path.
    public var runtime = "crun"
    /// What is not to be enforced.
    public var insecure = InsecureOptions()
    /// Whether the pod must outlive a power loss from the moment it is prepared.
    public var durable = true

    /// Asks for a pod.
    ///
    /// - Parameter apps: Its apps, at least one.
    public init(apps: [App]) {
        self.apps = apps
    }

    /// Refuses what no pod can be made of: to be asked before anything is fetched or made.
    ///
    /// - Throws: ``RktError`` with `invalidArgument`.
    public func validate() throws {
        guard !apps.isEmpty else {
            throw RktError(.invalidArgument, "must provide at least one image or specify the pod manifest")
        }
        try stage1.conformer.check(self)
    }
}

/// `--insecure-options`: what is not to be checked or enforced.
public struct InsecureOptions: OptionSet, Sendable, Hashable {
    /// The reference's bits.
    public let rawValue: Int

    /// Makes a set from the reference's bits.
    ///
    /// - Parameter rawValue: The bits.
    public init(rawValue: Int) {
        self.rawValue = rawValue
    }

    /// Images need no signature.
    public static let image = Self(rawValue: 1)
    /// Certificates are not checked.
    public static let tls = Self(rawValue: 2)
    /// Accepted and ignored.
    public static let ondisk = Self(rawValue: 4)
    /// Plain HTTP is allowed.
    public static let http = Self(rawValue: 8)
    /// Keys may be fetched over insecure transports.
    public static let pubkey = Self(rawValue: 16)
    /// Apps keep all capabilities.
    public static let capabilities = Self(rawValue: 32)
    /// No path is hidden or read-only.
    public static let paths = Self(rawValue: 64)
    /// No system call filter.
    public static let seccomp = Self(rawValue: 128)

    /// The names a user writes.
    public static let names: [(String, InsecureOptions)] = [
        ("none", []), ("image", .image), ("tls", .tls), ("ondisk", .ondisk), ("http", .http), ("pubkey", .pubkey),
        ("capabilities", .capabilities), ("paths", .paths), ("seccomp", .seccomp),
        ("all-fetch", [.image, .tls, .http, .pubkey]),
        ("all-run", [.capabilities, .paths, .seccomp]),
        ("all", [.image, .tls, .http, .pubkey, .capabilities, .paths, .seccomp]),
    ]
}
