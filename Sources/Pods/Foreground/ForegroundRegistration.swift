internal import Diagnostics
internal import LinuxOS
internal import Manifests
internal import SystemdClient

/// Telling machined of a machine below this process, while the machine boots: systemd-nspawn would have it wait for that.
///
/// From 258 on machined takes who tells it for the machine's supervisor, and has that end the machine.
struct ForegroundRegistration: Sendable {
    private let pod: PodDirectory
    private let manager: SystemdManager
    /// Begun at once: machined takes as long as the rest.
    private let claim: Task<UnitClaim?, Never>

    /// Prepares for it.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - place: Where the machine is.
    ///   - manager: A connection to systemd.
    init(of pod: PodDirectory, in place: ForegroundPlace, manager: SystemdManager) {
        self.pod = pod
        self.manager = manager
        claim = Task {
            guard case .beside(_, let unit) = place else { return nil }
            return await UnitClaim(of: unit, manager: manager)
        }
    }

    private static let noBus = RktError(.failed, "the system bus takes no connection")

    /// Registers the machine. A host without machined has pods all the same.
    ///
    /// - Parameter leader: The machine's systemd.
    /// - Returns: Why it is not registered; nil when it is, or there is nothing to be told.
    func register(leader: Int32) async -> String? {
        guard await claim.value?.isGranted ?? true else {
            return "the caller's unit has one already"
        }
        var request = RegisterMachineRequest(
            name: PodNames.machine(pod.uuid),
            id: pod.uuid.bytes,
            leader: UInt32(leader)
        )
        request.rootDirectory = "\(pod.directory.path)/rootfs"
        do {
            try await SystemdSurvival.during(manager) { manager in
                if manager.isPeer { throw Self.noBus }
                try await MachineManager(connection: manager.connection).register(request)
            } orElse: { manager in
                if manager.isPeer { throw Self.noBus }
                do {
                    try await MachineManager(connection: manager.connection).register(request)
                } catch let error as RktError where error.code == .alreadyExists {
                    // The call had come through.
                }
            }
            return nil
        } catch let error as RktError where error.code == .missingDependency {
            // There is no machined.
            return nil
        } catch {
            return "\(error)"
        }
    }
}
