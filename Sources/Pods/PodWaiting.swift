internal import Diagnostics
internal import LinuxOS
public import Manifests
internal import SystemdClient

/// Waits for pods, by systemd's signals.
public struct PodWaiting: Sendable {
    let data: DataDirectory

    /// Waits for pods of a data directory.
    ///
    /// - Parameter data: The data directory.
    public init(data: DataDirectory) {
        self.data = data
    }

    /// Waits until a pod has ended and systemd is done with it.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - timeout: How long; nil for as long as it takes.
    /// - Throws: ``RktError`` with `timeout`; `wrongState` when the pod was never started.
    public func untilEnded(_ uuid: PodUUID, timeout: Duration?) async throws {
        guard let pod = try PodLookup(data: data).exactly(uuid) else { return }
        guard try pod.state() != .prepared || timeout == nil else {
            throw RktError(.wrongState, "pod \"\(uuid)\" is prepared, not running: it will not end")
        }
        let manager = try await SystemdManager.connect()
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while true {
            let left = deadline.map { max($0 - .now, .zero) }
            try await manager.waitUntilInactive(PodNames.podUnit(uuid), timeout: left)
            // A machine that reboots is down for a moment, and keeps its lock.
            guard let pod = try PodLookup(data: data).exactly(uuid), try pod.isLocked() else { return }
            if let deadline {
                guard try await pod.waitUntilUnlocked(until: deadline) else {
                    throw RktError(.timeout, "pod \"\(uuid)\" has not ended in time")
                }
            } else {
                try await pod.waitUntilUnlocked()
            }
        }
    }

    /// Waits until a pod's apps have started.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - timeout: How long; nil for as long as it takes.
    /// - Throws: ``RktError`` with `timeout`; `failed` when the pod has ended before.
    public func untilReady(_ uuid: PodUUID, timeout: Duration?) async throws {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        var manager: SystemdManager?
        var unstartedSince: ContinuousClock.Instant?
        // Of a command that runs the pod below itself systemd tells nothing; it is there once the pod has been prepared.
        var pause: Duration = .milliseconds(50)
        while true {
            if let isReady = try await ForegroundRequest.waitUntilReady(uuid, until: deadline) {
                if isReady { return }
                throw Self.endedTooSoon(uuid)
            }
            let systemd: SystemdManager
            if let manager { systemd = manager } else { systemd = try await SystemdManager.connect() }
            manager = systemd
            let left = deadline.map { max($0 - .now, .zero) } ?? .seconds(3600)
            do {
                let unit = try await systemd.wait(for: PodNames.podUnit(uuid), timeout: min(pause, left)) { unit in
                    unit.activeState == "active" || unit.isInactive && !mayBecomeReady(uuid, &unstartedSince)
                }
                if unit.activeState == "active" { return }
                throw Self.endedTooSoon(uuid)
            } catch let error as RktError where error.code == .timeout && left > pause {
                pause = min(pause * 2, .seconds(1))
            }
        }
    }

    /// Whether a pod whose unit is down is about to be started, or runs below a command.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - unstartedSince: Since when it is where pods run and nobody starts it: whoever takes it there does that at once.
    /// - Returns: Whether it is, or may be.
    private func mayBecomeReady(_ uuid: PodUUID, _ unstartedSince: inout ContinuousClock.Instant?) -> Bool {
        guard let pod = try? PodLookup(data: data).exactly(uuid), let state = try? pod.state() else { return false }
        if [.embryo, .preparing, .prepared, .running].contains(state) || pod.isBeingStarted { return true }
        guard state == .exited, !pod.directory.contains("pid") else { return false }
        let since = unstartedSince ?? .now
        unstartedSince = since
        return .now - since < Self.startPatience
    }

    private static let startPatience: Duration = .seconds(1)

    private static func endedTooSoon(_ uuid: PodUUID) -> RktError {
        RktError(.failed, "pod \"\(uuid)\" has ended before it was ready")
    }
}
