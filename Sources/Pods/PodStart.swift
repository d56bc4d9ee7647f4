internal import Diagnostics
internal import Glibc
internal import Journal
internal import LinuxOS
public import Manifests
internal import SystemdClient

/// ExecStart= of `pod@.service`: makes a prepared or exited pod run, hands its init to systemd and is done.
///
/// Runs once per start, as root, as the main process of `pod@UUID.service`.
public struct PodStart: Sendable {
    let data: DataDirectory
    let installation: Installation
    let stages: StageClock

    /// Makes a starter.
    ///
    /// - Parameters:
    ///   - data: The data directory the pod is in.
    ///   - installation: Where this installation's programs are.
    ///   - stages: Takes down how long each stage took.
    public init(data: DataDirectory, installation: Installation, stages: StageClock) {
        self.data = data
        self.installation = installation
        self.stages = stages
    }

    /// Starts the pod.
    ///
    /// - Parameter uuid: The pod.
    /// - Returns: 0, or the exit status of the app that could not be started.
    /// - Throws: ``RktError`` with `busy` when the pod runs already, `notFound` when there is none.
    public func run(_ uuid: PodUUID) async throws -> Int32 {
        let taken = try takeOver(uuid)
        let pod = taken.pod
        do {
            return try await start(pod, lock: taken.lock)
        } catch {
            // Launchers may wait for an init that will not come.
            try? pod.directory.remove("starting")
            await stopApps(of: pod)
            throw error
        }
    }

    /// Takes a start back that systemd has called off: without this, launchers would wait for an init for a while.
    ///
    /// - Parameter uuid: The pod.
    public func abandon(_ uuid: PodUUID) async {
        guard let pod = try? PodLookup(data: data).exactly(uuid) else { return }
        try? pod.directory.remove("starting")
        await stopApps(of: pod)
    }

    private func start(_ pod: PodDirectory, lock: borrowing OwnedFD) async throws -> Int32 {
        let uuid = pod.uuid
        let configuration = try RuntimeConfiguration(of: pod)
        let apps = try pod.overview().map(\.name)
        try clearLastRun(pod, apps: apps, configuration: configuration)
        try PodLinks.makeRuntimeLink(uuid, to: pod.directory.path)
        try HostFiles.install(from: pod)
        let journal = configuration.journal == .namespace ? try PodJournal.ensureDirectory(uuid) : nil
        stages.mark("files")

        // The apps' launchers take systemd as long as the init takes us: both at once. They wait at the gate.
        let units = apps.map { PodNames.appUnit(uuid, $0) }
        let manager = try await SystemdManager.connect()
        stages.mark("systemd")
        async let started: Void = SystemdSurvival.start(units, manager: manager) { unit in
            apps.contains { PodNames.appUnit(uuid, $0) == unit && pod.exitStatus(of: $0) != nil }
        }

        let process = try PodInitProcess(
            pod: pod,
            lock: lock,
            configuration: configuration,
            journal: journal,
            program: installation.podInit,
            apps: apps
        )
        let leader = process.pid
        try pod.directory.write("pid", "\(leader)\n", mode: 0o640)
        try process.openGate()
        stages.mark("init")

        async let registered: Void = register(uuid, leader: leader, configuration: configuration, manager: manager)
        do {
            try await started
        } catch {
            await registered
            await stopApps(of: pod)
            let status = pod.exitStatus()
            guard status != 0 else { throw error }
            return status
        }
        stages.mark("apps")
        await registered
        stages.mark("machine")

        try Notify.send(.mainPID(leader), .ready)
        _ = try Notify.barrier(timeout: .seconds(30))
        process.handedOver()
        stages.mark("hand-over")
        try await finish(pod, apps: apps, manager: manager)
        return 0
    }

    private func stopApps(of pod: PodDirectory) async {
        guard let manager = try? await SystemdManager.connect(), let apps = try? pod.overview() else { return }
        for app in apps { try? await manager.stopUnit(PodNames.appUnit(pod.uuid, app.name)) }
    }

    /// Takes the pod's lock and brings the pod into the phase `run`.
    private func takeOver(_ uuid: PodUUID) throws -> TakenPod {
        guard let found = try PodLookup(data: data).exactly(uuid) else {
            throw RktError(.notFound, "there is no pod \"\(uuid)\" in \(data.path)")
        }
        guard found.phase == .prepared || found.phase == .run else {
            throw RktError(.wrongState, "pod \"\(uuid)\" is \(try found.state().rawValue): it cannot be started")
        }
        let lock = try found.lock()
        let pod = found.phase == .run ? found : try found.move(to: .run, in: data, durable: false)
        return TakenPod(pod: pod, lock: lock)
    }

    /// A pod and the descriptor that holds its lock.
    private struct TakenPod: ~Copyable {
        let pod: PodDirectory
        let lock: OwnedFD
    }

    /// Removes what the last run left and lays out this run's records, so that a full disk cannot lose an end.
    private func clearLastRun(_ pod: PodDirectory, apps: [String], configuration: RuntimeConfiguration) throws {
        let directory = pod.directory
        for name in ["pid", "exit", "stopping", "host-namespaces"] where directory.contains(name) {
            try directory.remove(name)
        }
        try directory.removeTree("status")
        try directory.makeDirectory("status", mode: 0o750)
        let status = try directory.directory("status")
        for app in apps { try status.writeInPlace(".\(app)", Self.emptyRecord, mode: 0o640) }
        try directory.writeInPlace(".exit", Self.emptyRecord, mode: 0o640)
        try PodGate.make(in: directory)
        if configuration.stage1 == .fly { try directory.writeInPlace("host-namespaces", "", mode: 0o640) }
    }

    /// As long as any exit status with its newline.
    private static let emptyRecord = "           \n"

    /// Makes the pod a machine. A host without machined has pods all the same.
    private func register(
        _ uuid: PodUUID,
        leader: Int32,
        configuration: RuntimeConfiguration,
        manager: SystemdManager
    ) async {
        guard configuration.stage1 == .units else { return }
        do {
            let machines =
                manager.isPeer
                ? try await MachineManager.connect() : MachineManager(connection: manager.connection)
            try await machines.register(
                RegisterMachineRequest(
                    name: PodNames.machine(uuid),
                    id: uuid.bytes,
                    leader: UInt32(leader)
                )
            )
        } catch {
            Stderr.print("pod-start: warning: pod \"\(uuid)\" is not registered as a machine: \(error)")
        }
    }

    /// An app may have failed before systemd knew the pod as started; then nobody has stopped the others yet.
    private func finish(_ pod: PodDirectory, apps: [String], manager: SystemdManager) async throws {
        try pod.directory.remove("starting")
        guard pod.exitStatus() != 0, apps.contains(where: { pod.exitStatus(of: $0) == nil }) else { return }
        _ = try await manager.enqueueStop(PodNames.podUnit(pod.uuid))
    }
}
