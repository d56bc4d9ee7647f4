internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests
internal import SystemdClient

/// Removing pods: the directory and every trace of the pod on the host. Each step may be repeated, so one that was
/// interrupted is finished by the next `gc`.
public struct PodRemoval: Sendable {
    let data: DataDirectory

    /// Removes pods of a data directory.
    ///
    /// - Parameter data: The data directory.
    public init(data: DataDirectory) {
        self.data = data
    }

    /// Removes a pod that does not run. Where all its apps ended well, systemd has nothing left to do but to forget its
    /// units, and is left to it; else it has when this returns.
    ///
    /// - Parameter pod: The pod.
    /// - Throws: ``RktError`` with `wrongState` when it runs or is being prepared, or for what could not be removed.
    public func remove(_ pod: PodDirectory) async throws {
        try Self.checkRemovable(pod)
        try await remove(pod, manager: try await SystemdManager.connect())
    }

    func remove(_ pod: PodDirectory, manager: SystemdManager) async throws {
        try await SystemdSurvival.during(manager) { manager in
            try await removeOnce(pod, manager: manager)
        } orElse: { manager in
            // Wherever the pod is by now.
            let phases: [PodPhase] = [pod.phase, .exitedGarbage, .garbage]
            guard let pod = try PodLookup(data: data).exactly(pod.uuid, in: phases) else { return }
            try await removeOnce(pod, manager: manager)
        }
    }

    private func removeOnce(_ pod: PodDirectory, manager: SystemdManager) async throws {
        do {
            try await removeHere(pod, manager: manager)
        } catch let error as RktError where error.code == .notFound {
            // Somebody else has moved it on, or removed it.
            let phases: [PodPhase] = [.exitedGarbage, .garbage]
            guard let pod = try PodLookup(data: data).exactly(pod.uuid, in: phases) else { return }
            try await removeHere(pod, manager: manager)
        }
    }

    private func removeHere(_ pod: PodDirectory, manager: SystemdManager) async throws {
        try Self.checkRemovable(pod)
        let units = try await manager.listUnits(patterns: PodNames.unitPatterns(pod.uuid))
        let isQuiet = pod.hasEndedWell && Self.areQuiet(units)
        let marked = try await mark(pod, manager: manager, isQuiet: isQuiet)
        try await clear(marked, manager: manager, isQuiet: isQuiet)
    }

    private static func checkRemovable(_ pod: PodDirectory) throws {
        let state = try pod.state()
        switch state {
        case .running, .embryo, .preparing, .deleting, .exitedDeleting:
            throw RktError(.wrongState, "pod \"\(pod.uuid)\" is currently \(state.rawValue)")
        case .abortedPrepare, .prepared, .exited, .exitedGarbage, .garbage:
            break
        }
    }

    /// Whether systemd is about to do nothing with a pod's units but to put them away.
    private static func areQuiet(_ units: [ListedUnit]) -> Bool {
        units.allSatisfy { unit in
            if unit.activeState == "failed" || !["", "stop"].contains(unit.jobType) { return false }
            let isRun = unit.name.hasSuffix(".service") && !unit.name.hasPrefix("systemd-journald")
            return !isRun || unit.jobType == "stop" || ["inactive", "deactivating"].contains(unit.activeState)
        }
    }

    /// Moves a pod to where only removal finds it.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - manager: A connection to systemd.
    ///   - isQuiet: Whether nothing that systemd may still do with the pod needs its directory.
    /// - Returns: The pod in its new place.
    /// - Throws: ``RktError`` with `busy` when somebody else is at it.
    func mark(_ pod: PodDirectory, manager: SystemdManager, isQuiet: Bool = false) async throws -> PodDirectory {
        switch pod.phase {
        case .exitedGarbage, .garbage: return pod
        default: break
        }
        // systemd may be stopping the pod, or be about to start it again. A unit that is not loaded is down; asking for
        // its state would load it.
        let unit = PodNames.podUnit(pod.uuid)
        if !isQuiet, try await manager.listUnits(patterns: [unit]).contains(where: { $0.job != nil }) {
            try await manager.waitUntilInactive(unit, timeout: .seconds(90))
        }
        let lock = try await pod.lockSoon()
        defer { withExtendedLifetime(lock.rawValue) {} }
        return try pod.move(to: pod.phase == .run ? .exitedGarbage : .garbage, in: data, durable: false)
    }

    /// Removes a pod that is marked, and all it left on the host.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - manager: A connection to systemd.
    ///   - isQuiet: Whether systemd is about to put its units away by itself.
    /// - Throws: ``RktError`` for what could not be removed.
    func clear(_ pod: PodDirectory, manager: SystemdManager, isQuiet: Bool = false) async throws {
        let lock = try pod.lock()
        defer { withExtendedLifetime(lock.rawValue) {} }
        try await collectStage1(of: pod)
        try await forgetForeground(of: pod, manager: manager)
        // The apps' files are many, and the units take a moment.
        async let units: Void = putAwayUnits(of: pod.uuid, manager: manager, isQuiet: isQuiet)
        let apps = ((try? pod.overview()) ?? []).map(\.name)
        try pod.directory.removeTree("apps")
        try await units
        try removeTraces(of: pod.uuid, apps: apps)
        guard let parent = try data.phase(pod.phase) else { return }
        try parent.removeTree(pod.uuid.description)
    }

    /// Lets a stage1 that is an image clean up after a pod that ran. Where it fails, the pod stays for another try.
    private func collectStage1(of pod: PodDirectory) async throws {
        let stage1 = Stage1Image.directoryName
        guard pod.phase == .exitedGarbage, pod.directory.contains(stage1),
            let configuration = try? RuntimeConfiguration(of: pod), configuration.programs?.collect != nil
        else { return }
        let path = try data.phase(pod.phase)?.path(of: pod.uuid.description) ?? pod.directory.path
        let status = try await ChildProgram(try Installation().podInit, ["gc", path, "\(pod.uuid)"]).run()
        guard status == 0 else {
            let image = configuration.programs?.imageName ?? ""
            throw RktError(.failed, "the entry point gc of stage1 \(image) ended with status \(status)")
        }
        // Once is enough, should what follows be interrupted.
        try pod.directory.rename(stage1, to: "\(stage1)-collected")
    }

    /// Sees to what the `rkt run` would have that a pod was below, if that was killed.
    private func forgetForeground(of pod: PodDirectory, manager: SystemdManager) async throws {
        guard pod.directory.contains(ForegroundRequest.socketName) else { return }
        // The kernel kills the machine with the command, and takes a moment for that.
        _ = await PidFD.waitForEnd(of: pod.initProcess() ?? 0, timeout: .seconds(2))
        ForegroundPlace.clear(pod)
        await PodControl(data: data).forgetMachine(of: pod.uuid, manager: manager)
        try pod.directory.remove(ForegroundRequest.socketName)
    }

    /// Removes what a pod has outside of its directory.
    private func removeTraces(of uuid: PodUUID, apps: [String]) throws {
        try PodJournal.removeAll(of: uuid)
        try HostFiles.remove(of: uuid, apps: apps)
        PodLinks.removeRuntimeLink(uuid)
        try data.links.remove(uuid, to: data)
        // What systemd-nspawn leaves when it is killed.
        for directory in ["", "/propagate", "/unix-export"] {
            try removeIfThere(PodNames.machine(uuid), in: "/run/systemd/nspawn\(directory)")
        }
        for app in apps {
            for directory in ["/run/rkt/runtime", "/run/rkt/pids"] {
                try removeIfThere("\(uuid)-\(app)", in: directory)
            }
        }
        let units = apps.map { PodNames.appUnit(uuid, $0) }
        try removeLeftovers(units: units + [PodNames.podUnit(uuid), PodNames.slice(uuid)], uuid: uuid)
    }

    private func putAwayUnits(of uuid: PodUUID, manager: SystemdManager, isQuiet: Bool) async throws {
        if isQuiet {
            // With jobs that outlive their files. Stopping the slice also calls off what somebody wants of an app.
            let names = [PodNames.slice(uuid), PodNames.journald(uuid)]
            let left = try await manager.dismissUnits(names, listing: PodNames.unitPatterns(uuid))
            if Self.areQuiet(left) { return }
        }
        try await putAwayUnits(of: uuid, manager: manager)
    }

    /// Stops what still runs of a pod's units, which is mostly its journal's, and makes systemd forget the failed ones.
    private func putAwayUnits(of uuid: PodUUID, manager: SystemdManager) async throws {
        let patterns = PodNames.unitPatterns(uuid)
        let loaded = try await manager.listUnits(patterns: patterns)
        // The pod's own unit may still be on its way down, as its init has ended: stopping it waits for that.
        let running = loaded.filter { !["inactive", "failed"].contains($0.activeState) || $0.job != nil }
        // Its journald would see to it that what is about to be removed is on disk.
        let journald = running.filter { $0.name.hasPrefix("systemd-journald@") && $0.name.hasSuffix(".service") }
        var problem: (any Error)?
        do {
            try await manager.stopUnits(running.map(\.name), killing: journald.map(\.name))
        } catch {
            problem = error
        }
        // One that failed on its way down is down.
        let left = running.isEmpty ? loaded : try await manager.listUnits(patterns: patterns)
        if let living = left.first(where: { !["inactive", "failed"].contains($0.activeState) }) {
            throw problem ?? RktError(.busy, "\(living.name) is still \(living.activeState)")
        }
        await manager.resetFailedUnits(left.filter { $0.activeState == "failed" }.map(\.name))
    }

    /// What systemd keeps of units by itself: properties set at run time, links of enabled units, and the extra log
    /// fields that it forgets to remove.
    private func removeLeftovers(units: [String], uuid: PodUUID) throws {
        for unit in units {
            try removeIfThere("\(unit).d", in: "/run/systemd/system.control")
            try removeIfThere("\(unit).d", in: "/etc/systemd/system.control")
            try removeIfThere("\(unit).d", in: "/run/systemd/system")
            try removeIfThere("\(unit).d", in: "/etc/systemd/system")
            try removeIfThere("log-extra-fields:\(unit)", in: "/run/systemd/units")
            try removeIfThere("log-rate-limit-interval:\(unit)", in: "/run/systemd/units")
        }
        try removeIfThere(PodNames.podUnit(uuid), in: "/etc/systemd/system/multi-user.target.wants")
        try removeIfThere("journal.\(PodNames.machine(uuid))", in: "/run/systemd")
    }

    private func removeIfThere(_ name: String, in path: String) throws {
        guard let directory = try? Directory(path: path) else { return }
        try directory.removeTree(name)
    }
}
