internal import Diagnostics
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
        for _ in 0..<Self.attempts {
            do {
                return try await manager.startScope(request)
            } catch let error as RktError where error.code == .alreadyExists {
                // Of the machine that has just been rebooted.
                _ = try await manager.waitUntilInactive(name, timeout: .seconds(10))
            }
        }
        try await manager.startScope(request)
    }

    /// How often an older scope may still be there.
    private static let attempts = 20

    /// Has the machine ended in order as often as systemd asks for that; ends with the task, or the connection.
    func passOnStops() async throws {
        try await manager.answerStopRequests(of: PodNames.scope(uuid)) {
            _ = try ForegroundRequest.stop.send(to: uuid)
        }
    }
}
