internal import Diagnostics
internal import LinuxOS
internal import Manifests
internal import SystemdClient

/// The scope of a pod's machine that is in no unit of its caller's.
struct ForegroundScope: Sendable {
    let uuid: PodUUID
    let manager: SystemdManager

    /// Makes the scope.
    ///
    /// - Parameter pid: The process that becomes the machine.
    /// - Throws: ``RktError`` when systemd refuses.
    func start(with pid: Int32) async throws {
        let name = PodNames.scope(uuid)
        var request = ScopeRequest(name: name, description: "rkt pod \(uuid)", slice: "rkt.slice", processes: [pid])
        // As in `pod@.service`.
        request.isDelegated = true
        request.tasksMax = 16_384
        request.devices = [("/dev/net/tun", "rwm"), ("char-pts", "rwm")]
        request.stopTimeout = .seconds(120)
        try await SystemdSurvival.during(manager) { manager in
            do {
                try await manager.startScope(request)
            } catch let error as RktError where error.code == .alreadyExists {
                // By a call whose answer was lost with its connection.
                if Self.isIn(name, pid) { return }
                // Of a machine that has just been rebooted, or whose start ended before systemd came to it: systemd
                // hears of no end there.
                try await manager.discardScope(name)
                _ = try await manager.waitUntilInactive(name, timeout: .seconds(10))
                try await manager.startScope(request)
            }
        }
    }

    private static func isIn(_ scope: String, _ pid: Int32) -> Bool {
        let groups = try? Directory(path: "/proc/\(pid)").readText("cgroup", limit: 65_536)
        return groups?.split(separator: "\n").contains { $0.hasPrefix("0::/") && $0.hasSuffix("/\(scope)") } ?? false
    }

    /// Has the machine ended in order when systemd stops the scope. systemd asks the scope's controller for that, and
    /// stops nothing itself; but it may execute itself anew, or the bus may be another one by then.
    ///
    /// - Throws: ``RktError`` when systemd cannot be reached any more; `CancellationError`.
    func passOnStop() async throws {
        let name = PodNames.scope(uuid)
        try await SystemdSurvival.during(manager) { manager in
            let state = try await manager.wait(for: name) { $0.activeState == "deactivating" || $0.isInactive }
            if !state.isInactive { _ = try ForegroundRequest.stop.send(to: uuid) }
        }
    }

    /// Puts the scope away after a start that came to nothing: it may have been made when its process had ended.
    func discard() async { try? await manager.discardScope(PodNames.scope(uuid)) }
}
