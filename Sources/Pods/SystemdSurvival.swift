internal import Diagnostics
internal import SystemdClient

/// Waiting for systemd through a `daemon-reexec`, in which it leaves the bus and closes its own socket, but loses no
/// job and no unit.
enum SystemdSurvival {
    /// Does something with a connection to systemd; if the connection ends meanwhile, goes on with another one.
    ///
    /// - Parameters:
    ///   - manager: The connection to begin with.
    ///   - body: What to do.
    ///   - resume: What to do instead, on a new connection, when the first one was lost.
    /// - Throws: What `body` or `resume` throws; `unavailable` when systemd does not come back.
    static func during(
        _ manager: SystemdManager,
        _ body: (SystemdManager) async throws -> Void,
        orElse resume: (SystemdManager) async throws -> Void
    ) async throws {
        do {
            return try await body(manager)
        } catch let error as RktError where error.code == .unavailable {}
        // Several in a row are rare, and endless ones no reason to give a pod up for.
        for _ in 0..<attempts {
            do {
                return try await resume(try await SystemdManager.connect())
            } catch let error as RktError where error.code == .unavailable {}
        }
        try await resume(try await SystemdManager.connect())
    }

    /// How often a lost connection is made anew.
    private static let attempts = 10

    /// Does something with a connection to systemd, and anew with another one if the connection ends meanwhile.
    static func during(_ manager: SystemdManager, _ body: (SystemdManager) async throws -> Void) async throws {
        try await during(manager, body, orElse: body)
    }

    /// Starts units and waits for them.
    ///
    /// - Parameters:
    ///   - units: The units.
    ///   - followers: Units that are started with them and not waited for.
    ///   - manager: The connection to begin with.
    ///   - hasRun: Whether a unit that is down has been up since: systemd may never have got the call.
    /// - Throws: `RktError` when one could not be started, or systemd cannot be reached any more.
    static func start(
        _ units: [String],
        followers: [String] = [],
        manager: SystemdManager,
        hasRun: (String) -> Bool
    ) async throws {
        try await during(manager) {
            try await $0.startUnits(units, followers: followers)
        } orElse: { manager in
            for unit in units {
                let activity = try await manager.wait(for: unit) { !$0.hasJob || $0.activeState == "active" }
                if activity.activeState == "active" || hasRun(unit) { continue }
                try await manager.startUnit(unit)
            }
        }
    }
}
