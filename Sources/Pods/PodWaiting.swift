internal import Diagnostics
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
        if let isReady = try await ForegroundRequest.waitUntilReady(uuid, until: deadline) {
            if isReady { return }
            throw Self.endedTooSoon(uuid)
        }
        let manager = try await SystemdManager.connect()
        let state = try await manager.wait(for: PodNames.podUnit(uuid), timeout: timeout) { state in
            if state.activeState == "active" { return true }
            return state.isInactive && (try? PodLookup(data: data).exactly(uuid)?.state()) != .prepared
        }
        guard state.activeState == "active" else { throw Self.endedTooSoon(uuid) }
    }

    private static func endedTooSoon(_ uuid: PodUUID) -> RktError {
        RktError(.failed, "pod \"\(uuid)\" has ended before it was ready")
    }
}
