internal import DBusBridge
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
        var properties: [(String, DBusValue)] = [
            ("PIDs", .array(elementSignature: "u", [.uint32(UInt32(pid))])),
            ("Description", .string("rkt pod \(uuid)")),
            ("Slice", .string("rkt.slice")),
            // As in `pod@.service`.
            ("Delegate", .bool(true)),
            ("TasksMax", .uint64(16_384)),
            ("DevicePolicy", .string("closed")),
            (
                "DeviceAllow",
                .array(
                    elementSignature: "(ss)",
                    [
                        .structure([.string("/dev/net/tun"), .string("rwm")]),
                        .structure([.string("char-pts"), .string("rwm")]),
                    ]
                )
            ),
            ("TimeoutStopUSec", .uint64(120_000_000)),
            ("CollectMode", .string("inactive-or-failed")),
        ]
        // systemd asks this one to end the scope's processes in order.
        if !manager.isPeer { properties.append(("Controller", .string(await manager.connection.uniqueName))) }
        for _ in 0..<Self.attempts {
            do {
                return try await manager.startTransientUnit(name, properties: properties)
            } catch let error as RktError where error.code == .alreadyExists {
                // Of the machine that has just been rebooted.
                _ = try await manager.waitUntilInactive(name, timeout: .seconds(10))
            }
        }
        try await manager.startTransientUnit(name, properties: properties)
    }

    /// How often an older scope may still be there.
    private static let attempts = 20

    /// Has the machine ended in order as often as systemd asks for that; ends with the task, or the connection.
    func passOnStops() async throws {
        if manager.isPeer { return }
        let requests = try await manager.connection.signals(
            matching: DBusSignalMatch(
                sender: "org.freedesktop.systemd1",
                path: SystemdManager.unitPath(PodNames.scope(uuid)),
                interface: "org.freedesktop.systemd1.Scope",
                member: "RequestStop"
            )
        )
        for try await _ in requests { _ = try ForegroundRequest.stop.send(to: uuid) }
    }
}
