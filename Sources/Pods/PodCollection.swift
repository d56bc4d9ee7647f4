public import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests
internal import SystemdClient

/// `gc`: marks pods that have ended, and removes those whose time has come.
public struct PodCollection: Sendable {
    /// What happened to a pod.
    public enum Event: Sendable {
        /// An exited pod was marked.
        case marked(PodUUID)
        /// A pod whose preparation ended early was marked.
        case markedFailedPreparation(PodUUID)
        /// A prepared pod that was never started was marked.
        case markedExpired(PodUUID)
        /// A pod is being removed.
        case removing(PodUUID)
        /// A marked pod is still within its grace period.
        case kept(PodUUID)
        /// A pod could not be removed; the next run tries again.
        case failed(PodUUID, RktError)
    }

    let data: DataDirectory
    let report: @Sendable (Event) -> Void

    /// Collects the pods of a data directory.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - report: Called as things happen.
    public init(data: DataDirectory, report: @escaping @Sendable (Event) -> Void) {
        self.data = data
        self.report = report
    }

    /// Collects.
    ///
    /// - Parameters:
    ///   - gracePeriod: How long a marked pod is kept.
    ///   - expirePrepared: How long a prepared pod is kept.
    ///   - markOnly: Whether to stop after marking.
    /// - Throws: ``RktError`` when the data directory or systemd cannot be reached.
    public func run(gracePeriod: Duration, expirePrepared: Duration, markOnly: Bool) async throws {
        let lookup = PodLookup(data: data)
        let manager = try await SystemdManager.connect()
        let removal = PodRemoval(data: data)

        for pod in try lookup.pods(in: [.run]) where try pod.state() == .exited {
            guard !pod.isBeingStarted, pod.temporality != .attended, try await isFree(pod, manager: manager) else {
                continue
            }
            await attempt(pod) {
                _ = try await removal.mark(pod, manager: manager)
                report(.marked(pod.uuid))
            }
        }
        // An embryo has no lock for an instant; while nobody prepares, none is anybody's.
        let unfinished: Set<PodPhase> = try data.isPreparing() ? [.prepare] : [.embryo, .prepare]
        for pod in try lookup.pods(in: unfinished) where try !pod.isLocked() {
            await attempt(pod) {
                _ = try await removal.mark(pod, manager: manager)
                report(.markedFailedPreparation(pod.uuid))
            }
        }
        if markOnly { return }
        for pod in try lookup.pods(in: [.prepared]) where age(of: pod) > expirePrepared {
            guard try !pod.isLocked(), try await isFree(pod, manager: manager) else { continue }
            await attempt(pod) {
                _ = try await removal.mark(pod, manager: manager)
                report(.markedExpired(pod.uuid))
            }
        }
        for pod in try lookup.pods(in: [.exitedGarbage, .garbage]) where try !pod.isLocked() {
            guard pod.phase == .garbage || pod.temporality == .orphaned || age(of: pod) >= gracePeriod else {
                report(.kept(pod.uuid))
                continue
            }
            await attempt(pod) {
                if pod.phase == .exitedGarbage { report(.removing(pod.uuid)) }
                try await removal.clear(pod, manager: manager)
            }
        }
        try data.links.collect()
    }

    /// Whether systemd neither runs the pod nor will start it by itself.
    private func isFree(_ pod: PodDirectory, manager: SystemdManager) async throws -> Bool {
        let unit = PodNames.podUnit(pod.uuid)
        let state = try await manager.unitProperties(unit)
        guard state.activeState == "inactive" || state.activeState == "failed" else { return false }
        return state.unitFileState != "enabled"
    }

    private static var now: Duration {
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        return .seconds(now.tv_sec) + .nanoseconds(now.tv_nsec)
    }

    private func age(of pod: PodDirectory) -> Duration {
        guard let changed = try? pod.directory.status(of: ".").changed else { return .zero }
        return Self.now - .nanoseconds(changed)
    }

    /// Whether somebody else has collected the pod, or is about to.
    private func wasQuicker(_ pod: PodDirectory, _ error: RktError) -> Bool {
        guard error.code == .notFound else { return false }
        let isBeingRemoved = pod.phase == .exitedGarbage || pod.phase == .garbage
        return isBeingRemoved || (try? PodLookup(data: data).exactly(pod.uuid, in: [pod.phase])) == nil
    }

    /// One pod that cannot be collected does not keep the others.
    private func attempt(_ pod: PodDirectory, _ body: () async throws -> Void) async {
        do {
            try await body()
        } catch let error as RktError {
            if error.code != .busy, !wasQuicker(pod, error) { report(.failed(pod.uuid, error)) }
        } catch {
            report(.failed(pod.uuid, RktError(.failed, "collecting pod \"\(pod.uuid)\"", cause: error)))
        }
    }
}
