public import Diagnostics
internal import LinuxOS
public import Manifests

/// What `list` and `status` say of a pod.
public struct PodSummary: Sendable {
    /// An app in it.
    public struct App: Sendable {
        /// The states of an app.
        public enum State: String, Sendable {
            /// The pod is not that far.
            case unknown
            /// The pod is prepared.
            case created
            /// The pod runs and the app has not ended.
            case running
            /// The app has ended, or the pod has.
            case exited
        }

        /// The app's name.
        public let name: String
        /// The image's name, with its version if it has one.
        public let imageName: String
        /// The image's full id.
        public let imageID: String
        /// The state.
        public let state: State
        /// The exit status, once there is one.
        public let exitStatus: Int32?
        /// When it ended, in nanoseconds since the epoch.
        public let finishedAt: Int64?
    }

    /// The pod.
    public let uuid: PodUUID
    /// The state.
    public let state: PodState
    /// When it was made, in nanoseconds since the epoch; nil while it is being prepared.
    public let createdAt: Int64?
    /// When it was last started, in nanoseconds since the epoch.
    public let startedAt: Int64?
    /// What runs the pod; nil while it is being prepared.
    public let stage1: String?
    /// The process of the pod's init, while the pod runs.
    public let pid: Int32?
    /// The pod's exit status, once it has ended.
    public let exitStatus: Int32?
    /// The apps, in the order they were asked for.
    public let apps: [App]
    /// Why the apps could not be read, if so; the rest is still true.
    public let problem: RktError?

    /// Looks at a pod.
    ///
    /// - Parameter pod: The pod.
    /// - Throws: ``RktError`` when its lock cannot be looked at.
    public init(of pod: PodDirectory) throws {
        uuid = pod.uuid
        let locked = try pod.isHeld()
        state = pod.phase.state(locked: locked)
        let ready = pod.phase != .embryo && pod.phase != .prepare
        createdAt = ready ? pod.time(of: "pod-created") : nil
        startedAt = pod.phase == .run || pod.phase == .exitedGarbage ? pod.time(of: "pid") : nil
        let configuration = ready ? try? RuntimeConfiguration(of: pod) : nil
        stage1 = configuration?.programs?.imageName ?? configuration?.stage1.rawValue
        pid = state == .running ? pod.initProcess() : nil
        exitStatus = state == .exited || state == .exitedGarbage ? pod.exitStatus() : nil
        guard ready else {
            apps = []
            problem = nil
            return
        }
        do {
            let state = self.state
            apps = try pod.overview().map { Self.app($0, of: pod, in: state) }
            problem = nil
        } catch let error as RktError {
            apps = []
            problem = error
        }
    }

    private static func app(_ overview: AppOverview, of pod: PodDirectory, in state: PodState) -> App {
        let ran = pod.phase == .run || pod.phase == .exitedGarbage
        let status = ran ? pod.exitStatus(of: overview.name) : nil
        let appState: App.State
        switch state {
        case .prepared: appState = .created
        case .running: appState = status == nil ? .running : .exited
        case .exited, .exitedDeleting, .exitedGarbage: appState = .exited
        default: appState = .unknown
        }
        return App(
            name: overview.name,
            imageName: overview.imageName,
            imageID: overview.imageID,
            state: appState,
            exitStatus: status,
            finishedAt: status == nil ? nil : pod.time(of: "status/\(overview.name)")
        )
    }
}
