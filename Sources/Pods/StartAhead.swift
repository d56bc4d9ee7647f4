internal import Synchronization
internal import SystemdClient

/// What the start of a pod takes of systemd whatever the pod is, got while the pod is still being prepared: a place
/// among those that start, and a connection.
public final class StartAhead: Sendable {
    /// What there is to start a pod with.
    struct Means: Sendable {
        let slot: StartSlot?
        let manager: SystemdManager
    }

    private let means = Mutex<Task<Means, any Error>?>(nil)

    /// Begins with nothing.
    public init() {}

    /// Begins to get it. Call this when the start is near: others wait for the place.
    public func begin() {
        means.withLock { $0 = $0 ?? Self.get() }
    }

    /// What was got, or is got now; the caller's from here on.
    func take() async throws -> Means {
        let means = means.withLock { means in
            defer { means = nil }
            return means ?? Self.get()
        }
        return try await means.value
    }

    private static func get() -> Task<Means, any Error> {
        Task { Means(slot: await StartSlot.take(), manager: try await SystemdManager.connect()) }
    }
}
