internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests
internal import SystemdClient

/// Starting, stopping and waiting for pods, all through systemd.
public struct PodControl: Sendable {
    let data: DataDirectory
    let ahead: StartAhead

    /// Controls the pods of a data directory.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - ahead: What was begun for the start of a pod.
    public init(data: DataDirectory, ahead: StartAhead = StartAhead()) {
        self.data = data
        self.ahead = ahead
    }

    /// Tells the kernel that units will be started: call it early, and do what there is to do before the start.
    public static func anticipateStart() {
        CgroupMoves.anticipate()
    }

    /// Starts a prepared or exited pod and returns when its apps have started.
    ///
    /// - Parameter pod: The pod.
    /// - Throws: ``RktError`` when systemd could not start `pod@UUID.service`.
    public func start(_ pod: PodDirectory) async throws {
        let means = try await ahead.take()
        try await launch(try await enterRun(pod).pod, manager: means.manager)
        means.slot?.free()
    }

    /// Starts a prepared or exited pod and returns when it has ended; systemd may take a moment longer to put its units
    /// away.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - removing: Whether the pod, once this has begun to start it, is to be removed however it ends.
    ///   - started: Called when its apps have started.
    ///   - ended: Called when its apps have ended and nothing of it runs any more; systemd may not be done yet.
    ///   - warn: Called with what the user should know, as a sentence's end that begins with the pod.
    /// - Returns: The pod's exit status.
    /// - Throws: ``RktError`` when it could not be started and no app is to blame; systemd is done with it then too.
    public func run(
        _ pod: PodDirectory,
        removing: Bool = false,
        started: () -> Void,
        ended: @Sendable () async throws -> Void,
        warn: (String) -> Void = { _ in }
    ) async throws -> Int32 {
        let means = try await ahead.take()
        let entered = try await enterRun(pod, isTemporary: removing)
        let outcome: Result<Int32, any Error>
        var forgetting: Task<Void, Never>?
        func finish() async throws {
            if !entered.stage1.isForgottenByItself {
                forgetting = Task { await forgetMachine(of: pod.uuid, manager: means.manager) }
            }
            try await ended()
        }
        do {
            let status =
                entered.stage1.isBelowCaller
                ? try await runBelow(entered.pod, means: means, started: started, warn: warn, ended: finish)
                : try await runToEnd(entered.pod, means: means, started: started, ended: finish)
            outcome = .success(status)
        } catch {
            outcome = .failure(error)
        }
        if removing {
            do {
                try await remove(entered.pod, manager: means.manager)
            } catch {
                warn("is left for gc: \(error)")
            }
        }
        await forgetting?.value
        withExtendedLifetime(entered) {}
        return try outcome.get()
    }

    private func runToEnd(
        _ pod: PodDirectory,
        means: StartAhead.Means,
        started: () -> Void,
        ended: () async throws -> Void
    ) async throws -> Int32 {
        let manager = means.manager
        var failure: (any Error)?
        do {
            try await launch(pod, manager: manager)
            // The end of an app starts a process, too.
            CgroupMoves.anticipate()
            started()
        } catch {
            failure = error
        }
        means.slot?.free()
        try await waitForEnd(of: pod, manager: manager)
        let isKnown = try pod.areAllEndsKnown()
        let status = pod.exitStatus()
        try await ended()
        if failure == nil, isKnown { return status }
        // An init that was killed has let go of the lock before its apps' ends were recorded.
        try await SystemdSurvival.during(manager) { try await waitForUnits(of: pod, manager: $0) }
        if let failure, pod.exitStatus() == 0 { throw failure }
        guard try pod.areAllEndsKnown() || pod.exitStatus() != 0 else {
            let advice = "see systemctl status \(PodNames.podUnit(pod.uuid))"
            throw RktError(.failed, "how an app of pod \"\(pod.uuid)\" has ended is not known; \(advice)")
        }
        return pod.exitStatus()
    }

    /// Waits until systemd is done with a pod that did not end in order.
    private func waitForUnits(of pod: PodDirectory, manager: SystemdManager) async throws {
        let unended = try pod.overview().map(\.name).filter { pod.exitStatus(of: $0) == nil }
        for unit in try hostUnits(of: unended, in: pod) {
            // One that a drop-in has restarted much later has no pod any more.
            _ = try? await manager.waitUntilInactive(unit, timeout: .seconds(10))
        }
        let name = PodNames.podUnit(pod.uuid)
        let unit = try await manager.waitUntilInactive(name)
        if unit.activeState == "failed", try RuntimeConfiguration(of: pod).stage1 == .image {
            let main = try await manager.unitProperties(name)
            if main.execMainCode != 0, main.execMainStatus > 0 { try pod.recordEnd(main.execMainStatus) }
        }
        if unit.activeState == "failed", pod.exitStatus() == 0 {
            let advice = "see systemctl status \(name)"
            throw RktError(.failed, "pod \"\(pod.uuid)\" has failed, though none of its apps has; \(advice)")
        }
    }

    /// Removes a pod that has ended; that somebody else has is fine, too.
    private func remove(_ pod: PodDirectory, manager: SystemdManager) async throws {
        do {
            // A start that failed may have left it where it was.
            guard let pod = try PodLookup(data: data).exactly(pod.uuid) else { return }
            try await PodRemoval(data: data).remove(pod, manager: manager)
        } catch {
            let state = try? PodLookup(data: data).exactly(pod.uuid)?.state()
            if state == nil || state == .exitedDeleting || state == .deleting { return }
            throw error
        }
    }

    /// Waits until nothing of a pod runs any more. The connection is given up meanwhile unless that is soon: the bus
    /// has only so many for one user, and a host may have hundreds of pods.
    private func waitForEnd(of pod: PodDirectory, manager: SystemdManager) async throws {
        let release = Task {
            try await OwnThread.wait(until: .now + Self.connectionPatience)
            await manager.close()
        }
        defer { release.cancel() }
        try await pod.waitUntilUnlocked()
    }

    /// How long a connection is kept for a pod that may end soon.
    private static let connectionPatience: Duration = .seconds(3)

    /// machined would notice the machine's end by itself, when systemd has told it; whoever waited for the pod shall
    /// not see it any more, and machined need not ask systemd what has become of it.
    func forgetMachine(of uuid: PodUUID, manager: SystemdManager, startsService: Bool = false) async {
        let name = PodNames.machine(uuid)
        try? await SystemdSurvival.during(manager) {
            if $0.isPeer { return }
            try await MachineManager(connection: $0.connection).unregister(name, startsService: startsService)
        }
    }

    /// A pod that somebody else stops is gone when machined has noticed, too.
    private func waitUntilForgotten(_ uuid: PodUUID, manager: SystemdManager) async {
        let name = PodNames.machine(uuid)
        try? await SystemdSurvival.during(manager) {
            if $0.isPeer { return }
            try await MachineManager(connection: $0.connection).waitUntilGone(name, timeout: .seconds(10))
        }
    }

    /// Lets systemd start the pod and, in the same breath, the apps' units: their launchers come up while the pod does,
    /// and wait for it. `pod-start` asks for the same units; whoever starts `pod@` by hand gets them from there.
    private func launch(_ running: PodDirectory, manager: SystemdManager) async throws {
        let uuid = running.uuid
        // Held until systemd has done it: `gc` sees that the pod is spoken for.
        let mark = try running.directory.open("starting")
        try FileLock.mark(mark, name: "starting")
        defer { withExtendedLifetime(mark.rawValue) {} }
        let apps = try hostUnits(of: running.overview().map(\.name), in: running)
        do {
            try await SystemdSurvival.start([PodNames.podUnit(uuid)], followers: apps, manager: manager) { _ in
                running.directory.contains("pid")
            }
        } catch {
            try? running.directory.remove("starting")
            for app in apps {
                try? await manager.stopUnit(app)
                try? await manager.resetFailedUnit(app)
            }
            throw error
        }
    }

    /// A pod in the phase `run`, and what a command holds that will remove it.
    private final class EnteredPod: Sendable {
        let pod: PodDirectory
        let stage1: any Stage1
        private let temporaryMark: OwnedFD?

        init(_ pod: PodDirectory, temporaryMark: consuming OwnedFD?) throws {
            self.pod = pod
            stage1 = try RuntimeConfiguration(of: pod).stage1.conformer
            self.temporaryMark = temporaryMark
        }
    }

    private func enterRun(_ pod: PodDirectory, isTemporary: Bool = false) async throws -> EnteredPod {
        guard pod.phase == .prepared || pod.phase == .run else {
            throw RktError(.wrongState, "pod \"\(pod.uuid)\" is \(try pod.state().rawValue): it cannot be started")
        }
        let lock = try await pod.lockSoon()
        defer { withExtendedLifetime(lock.rawValue) {} }
        let mark = isTemporary ? try pod.makeTemporary() : nil
        let running = try takeToRun(pod)
        try PodGate.make(in: running.directory)
        if running.directory.contains("pid") { try running.directory.remove("pid") }
        if running.directory.contains(HostFiles.fileName) { try HostFiles(of: running).install() }
        try PodLinks.makeRuntimeLink(pod.uuid, to: running.directory.path)
        return try EnteredPod(running, temporaryMark: mark)
    }

    private func takeToRun(_ pod: PodDirectory) throws -> PodDirectory {
        if pod.phase == .run { return pod }
        do {
            return try pod.move(to: .run, in: data, durable: false)
        } catch let error as RktError where error.code == .notFound {
            let other = "somebody else has started or removed it"
            throw RktError(.wrongState, "pod \"\(pod.uuid)\" is not prepared any more: \(other)")
        }
    }

    /// Stops a running pod and returns when it has ended.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - force: Whether to kill it at once instead of letting its apps end.
    /// - Returns: False when the pod did not run.
    /// - Throws: ``RktError`` when the pod was never started, or systemd could not stop it.
    public func stop(_ uuid: PodUUID, force: Bool) async throws -> Bool {
        guard let pod = try PodLookup(data: data).exactly(uuid) else {
            throw RktError(.notFound, "there is no pod \"\(uuid)\"")
        }
        switch try pod.state() {
        case .running: break
        case .exited, .exitedGarbage, .exitedDeleting: return false
        default: throw RktError(.wrongState, "pod \"\(uuid)\" is not running")
        }
        if force { try await killApps(of: pod) }
        let manager = try await SystemdManager.connect()
        if try ForegroundRequest.stop.send(to: uuid) {
            if force, try await !pod.waitUntilUnlocked(until: .now + Self.forcePatience) {
                try await killMachine(of: pod)
            }
            try await pod.waitUntilUnlocked()
        } else {
            try await manager.stopUnit(PodNames.podUnit(uuid))
        }
        await waitUntilForgotten(uuid, manager: manager)
        return true
    }

    /// Ends a pod that is being started or runs: whatever it is at, systemd takes it back.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - force: Whether to kill its apps at once.
    /// - Throws: ``RktError`` when systemd could not stop it.
    public func cancel(_ pod: PodDirectory, force: Bool) async throws {
        if force { try await killApps(of: pod) }
        if try ForegroundRequest.stop.send(to: pod.uuid) { return }
        try await SystemdManager.connect().stopUnit(PodNames.podUnit(pod.uuid))
    }

    private func killApps(of pod: PodDirectory) async throws {
        let stage1 = try RuntimeConfiguration(of: pod).stage1
        // Unless it is too late to tell pod-stop.
        if stage1 == .image, !pod.directory.contains("status/STOPPING") {
            return try pod.directory.writeInPlace("status/FORCE", "")
        }
        let units = try pod.overview().map { stage1.conformer.unit(of: $0.name, in: pod.uuid) }
        do {
            let systemd = try await stage1.conformer.systemd(of: pod)
            for unit in Set(units) {
                do {
                    try await systemd.killUnit(unit, whom: .all, signal: SIGKILL)
                } catch let error as RktError where ![.timeout, .unavailable].contains(error.code) {
                    // There is nothing to kill.
                }
            }
        } catch {
            try await killMachine(of: pod)
        }
    }

    /// How long a machine may take to end whose apps were killed.
    private static let forcePatience: Duration = .seconds(10)

    /// Kills a pod that is a machine whose systemd does not answer.
    private func killMachine(of pod: PodDirectory) async throws {
        if try ForegroundRequest.kill.send(to: pod.uuid) { return }
        let manager = try await SystemdManager.connect()
        try? await manager.killUnit(PodNames.podUnit(pod.uuid), whom: .all, signal: SIGKILL)
    }

    private func hostUnits(of apps: [String], in pod: PodDirectory) throws -> [String] {
        try RuntimeConfiguration(of: pod).stage1.conformer.hostUnits(of: apps, in: pod.uuid)
    }
}
