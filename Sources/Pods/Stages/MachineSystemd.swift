internal import Diagnostics
internal import SystemdClient

/// The systemd in a pod that is a machine, reached from the host by its own socket.
enum MachineSystemd {
    /// How long it may take to accept a connection: it may be stopped, or be no systemd any more.
    private static let patience: Duration = .seconds(3)

    /// Connects to it.
    ///
    /// - Parameter pod: The pod, running.
    /// - Returns: Its manager.
    /// - Throws: ``RktError`` with `unavailable` when the machine is not up, `timeout` when its systemd does not
    ///   answer.
    static func connect(to pod: PodDirectory) async throws -> SystemdManager {
        guard let leader = pod.initProcess(), try pod.isHeld() else {
            throw RktError(.unavailable, "pod \"\(pod.uuid)\" has no machine that is up")
        }
        // It accepts only who is in its namespaces, and its root.
        let manager = try await SystemdManager.connect(
            through: try Installation().podInit,
            ["bridge", "\(leader)", "/run/systemd/private"],
            name: "the systemd of pod \"\(pod.uuid)\"",
            timeout: patience
        )
        // The number was the machine's as long as that was up.
        guard try pod.isHeld(), pod.initProcess() == leader else {
            throw RktError(.unavailable, "the machine of pod \"\(pod.uuid)\" went down")
        }
        return manager
    }
}
