internal import Diagnostics
internal import LinuxOS
internal import Manifests
internal import SystemdClient

/// Telling machined of a machine below this process.
struct ForegroundRegistration: Sendable {
    private let pod: PodDirectory
    private let manager: SystemdManager
    /// Found out at once: it takes as long as the rest.
    private let way: Task<Way, Never>

    /// Who tells it.
    private enum Way {
        /// systemd-nspawn: from 258 on machined takes who tells it for the machine's supervisor, and ends that too when
        /// the machine ends, or reboots.
        case nspawn
        /// This process, while the machine boots: systemd-nspawn would have it wait for that.
        case command(UnitClaim?)
        /// Nobody: there is a machine in the unit already.
        case none
    }

    /// Prepares for it.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - place: Where the machine is.
    ///   - manager: A connection to systemd.
    init(of pod: PodDirectory, in place: ForegroundPlace, manager: SystemdManager) {
        self.pod = pod
        self.manager = manager
        way = Task {
            if (try? await manager.capabilities().machineSupervisor) ?? false { return .nspawn }
            guard case .beside(_, let unit) = place else { return .command(nil) }
            return await UnitClaim(of: unit, manager: manager).map { .command($0) } ?? .none
        }
    }

    /// Whether systemd-nspawn is to register the machine.
    var isNspawns: Bool {
        get async { if case .nspawn = await way.value { true } else { false } }
    }

    private static let noBus = RktError(.failed, "the system bus takes no connection")

    /// Registers the machine, if that is this process's to do. A host without machined has pods all the same.
    ///
    /// - Parameter leader: The machine's systemd.
    /// - Returns: Why it is not registered; nil when there is nothing to be told.
    func register(leader: Int32) async -> String? {
        switch await way.value {
        case .nspawn: return nil
        case .none: return "the caller's unit has one already"
        case .command: break
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
                let machines = MachineManager(connection: manager.connection)
                do {
                    try await machines.register(request)
                } catch let error as RktError where error.code == .alreadyExists {
                    // Of a command that was killed, or by a call that had come through.
                    try await machines.unregister(request.name)
                    try await machines.register(request)
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
