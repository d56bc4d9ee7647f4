internal import Diagnostics
internal import Glibc
internal import Manifests
internal import SystemdClient

/// What runs a pod: which systemd has the units of its apps, and what that means for who looks at the pod from the
/// host.
///
/// All of them start by `pod@UUID.service` (but see ``isBelowCaller``), keep the same records in the pod's directory
/// and hold its lock while the pod runs; `pod-start` knows how each is started, UnitGen what its units look like. This
/// is what differs beside that.
protocol Stage1: Sendable {
    /// Refuses what this one cannot do, before anything is made.
    ///
    /// - Parameter request: What is asked for.
    /// - Throws: ``RktError`` with `invalidArgument`, naming what cannot be and what can.
    func check(_ request: PodRequest) throws

    /// The units of the host's systemd that run a pod's apps: to be started with the pod and waited for.
    func hostUnits(of apps: [String], in pod: PodUUID) -> [String]

    /// The unit that an app is in, for the systemd that runs it: what the journald of that calls `_SYSTEMD_UNIT`.
    func unit(of app: String, in pod: PodUUID) -> String

    /// The systemd that runs a pod's units.
    ///
    /// - Parameter pod: The pod, running.
    /// - Returns: A connection to it.
    /// - Throws: ``RktError`` when it cannot be reached.
    func systemd(of pod: PodDirectory) async throws -> SystemdManager

    /// Whether machined is told by others when a pod has ended that was run in the foreground.
    var isForgottenByItself: Bool { get }

    /// Whether the pod is below `rkt run` where that is in the foreground, in the caller's cgroup, limits and context,
    /// and not below `pod@UUID.service`.
    var isBelowCaller: Bool { get }

    /// Where a pod's log is.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - choice: What was asked for.
    /// - Returns: The journal.
    func journal(of pod: PodUUID, _ choice: RuntimeConfiguration.Journal) -> PodJournal

    /// What stands for the app's name before lines of which the journal does not say whose they are; nil where there
    /// are none.
    var speaker: String? { get }
}

extension RuntimeConfiguration.Stage1 {
    /// What it does.
    var conformer: any Stage1 {
        switch self {
        case .units: UnitsStage1()
        case .fly: FlyStage1()
        case .nspawn: NspawnStage1()
        case .image: ImageStage1()
        }
    }
}

/// The host's systemd runs the apps' units, which are in namespaces that the pod's init holds.
struct UnitsStage1: Stage1 {
    func check(_ request: PodRequest) throws { try refusePrivateUsers(request) }
}

/// The host's systemd runs the app's unit, in the host's namespaces.
struct FlyStage1: Stage1 {
    func check(_ request: PodRequest) throws {
        guard request.apps.count == 1 else {
            throw RktError(.invalidArgument, "fly only supports 1 application per Pod for now")
        }
        try refusePrivateUsers(request)
    }
}

/// A program of an image runs the pod: for systemd all of it is `pod@UUID.service`.
struct ImageStage1: Stage1 {
    func check(_ request: PodRequest) throws {
        guard !request.privateUsers else {
            let reason = "its apps are on overlays of their images"
            throw RktError(.invalidArgument, "a stage1 image has no private users: \(reason)")
        }
    }

    func hostUnits(of apps: [String], in pod: PodUUID) -> [String] { [] }

    func unit(of app: String, in pod: PodUUID) -> String { PodNames.podUnit(pod) }

    func journal(of pod: PodUUID, _ choice: RuntimeConfiguration.Journal) -> PodJournal { .host }

    var speaker: String? { "stage1" }

    /// Whoever has told machined of a machine sees to its end.
    var isForgottenByItself: Bool { true }
}

extension Stage1 {
    var speaker: String? { nil }

    var isForgottenByItself: Bool { false }

    var isBelowCaller: Bool { false }

    func hostUnits(of apps: [String], in pod: PodUUID) -> [String] { apps.map { PodNames.appUnit(pod, $0) } }

    func unit(of app: String, in pod: PodUUID) -> String { PodNames.appUnit(pod, app) }

    func systemd(of pod: PodDirectory) async throws -> SystemdManager { try await .connect() }

    func journal(of pod: PodUUID, _ choice: RuntimeConfiguration.Journal) -> PodJournal {
        choice == .namespace ? .namespace(PodNames.machine(pod)) : .host
    }

    fileprivate func refusePrivateUsers(_ request: PodRequest) throws {
        guard !request.privateUsers else {
            let reason = "its apps are units of the host's systemd"
            throw RktError(
                .invalidArgument,
                "stage1 \(request.stage1.rawValue) has no private users: \(reason) (try --stage1-name=nspawn)"
            )
        }
    }
}

/// A machine that systemd-nspawn boots runs the apps' units, and keeps a journal of its own.
struct NspawnStage1: Stage1 {
    /// What it needs of the host, all of which the machine sees at the same places, with Debian's package of each.
    var programs = [("/usr/bin/systemd-nspawn", "systemd-container"), ("/usr/bin/dbus-daemon", "dbus")]

    func check(_ request: PodRequest) throws {
        guard request.journal != .host else {
            let reason = "its machine has a journal of its own"
            throw RktError(.invalidArgument, "stage1 nspawn does not log to the host's journal: \(reason)")
        }
        for (path, package) in programs where access(path, X_OK) != 0 {
            throw RktError(.missingDependency, "stage1 nspawn needs \(path): install the package \(package)")
        }
        guard request.runtime.hasPrefix("/usr/") || !request.runtime.contains("/") else {
            let reason = "its machine has only the host's /usr"
            throw RktError(.invalidArgument, "stage1 nspawn cannot run \(request.runtime): \(reason)")
        }
    }

    var isBelowCaller: Bool { true }

    func hostUnits(of apps: [String], in pod: PodUUID) -> [String] { [] }

    func unit(of app: String, in pod: PodUUID) -> String { "\(app).service" }

    func systemd(of pod: PodDirectory) async throws -> SystemdManager { try await MachineSystemd.connect(to: pod) }

    func journal(of pod: PodUUID, _ choice: RuntimeConfiguration.Journal) -> PodJournal { .machine(pod.hex) }
}
