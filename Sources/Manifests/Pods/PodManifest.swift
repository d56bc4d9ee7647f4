/// The appc pod manifest (spec 0.8.11): what a pod is made of.
public struct PodManifest: Sendable, Hashable, Codable {
    /// An app of the pod.
    public struct App: Sendable, Hashable, Codable {
        /// The image an app is made of.
        public struct Image: Sendable, Hashable, Codable {
            /// The image's name.
            public var name: String?
            /// The image's id.
            public var id: String
            /// The image's labels.
            public var labels: [NameValue]?

            /// Names an image.
            ///
            /// - Parameters:
            ///   - name: The image's name.
            ///   - id: The image's id.
            ///   - labels: The image's labels.
            public init(name: String?, id: String, labels: [NameValue]?) {
                self.name = name
                self.id = id
                self.labels = labels
            }
        }

        /// A volume in an app's root.
        public struct Mount: Sendable, Hashable, Codable {
            /// The volume's name.
            public var volume: ACName
            /// Where it is mounted, absolute.
            public var path: String
            /// A volume of this app alone, instead of the pod's of that name.
            public var appVolume: PodVolume?

            /// Describes a mount.
            ///
            /// - Parameters:
            ///   - volume: The volume's name.
            ///   - path: Where it is mounted.
            ///   - appVolume: A volume of this app alone.
            public init(volume: ACName, path: String, appVolume: PodVolume? = nil) {
                self.volume = volume
                self.path = path
                self.appVolume = appVolume
            }
        }

        /// The app's name.
        public var name: ACName
        /// Its image.
        public var image: Image
        /// What it runs.
        public var app: AppcApp?
        /// Whether its root file system is read-only.
        public var readOnlyRootFS: Bool?
        /// The volumes in its root.
        public var mounts: [Mount]?
        /// Its annotations.
        public var annotations: [NameValue]?

        /// Describes an app.
        ///
        /// - Parameters:
        ///   - name: The app's name.
        ///   - image: Its image.
        ///   - app: What it runs.
        ///   - readOnlyRootFS: Whether its root file system is read-only.
        ///   - annotations: Its annotations.
        public init(name: ACName, image: Image, app: AppcApp?, readOnlyRootFS: Bool?, annotations: [NameValue]?) {
            self.name = name
            self.image = image
            self.app = app
            self.readOnlyRootFS = readOnlyRootFS
            self.annotations = annotations
        }
    }

    /// The version of the specification.
    public var acVersion = "0.8.11"
    /// The kind of document.
    public var acKind = "PodManifest"
    /// The apps.
    public var apps: [App]
    /// The volumes.
    public var volumes: [PodVolume]?
    /// The isolators of the pod as a whole, which nothing acts on, as in the reference.
    public var isolators: [AppcIsolator]?
    /// The annotations.
    public var annotations: [NameValue]?
    /// The forwarded ports.
    public var ports: [ForwardedPort]?
    /// Free annotations of the user.
    public var userAnnotations: [String: String]?
    /// Free labels of the user.
    public var userLabels: [String: String]?

    /// Describes a pod; what it has besides is set afterwards.
    ///
    /// - Parameters:
    ///   - apps: The apps.
    ///   - annotations: The annotations.
    public init(apps: [App], annotations: [NameValue]? = nil) {
        self.apps = apps
        self.annotations = annotations
    }
}
