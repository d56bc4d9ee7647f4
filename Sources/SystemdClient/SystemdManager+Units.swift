public import DBusBridge
internal import Diagnostics

extension SystemdManager {
    /// Sends a signal to a unit's processes.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - whom: Which of its processes.
    ///   - signal: The signal's number.
    /// - Throws: `RktError` with `notFound` when the unit is not loaded.
    public func killUnit(_ name: String, whom: KillWhom = .all, signal: Int32) async throws {
        _ = try await call("KillUnit", [.string(name), .string(whom.rawValue), .int32(signal)])
    }

    /// Forgets that a unit failed, and its start limit.
    ///
    /// - Parameter name: The unit's name.
    /// - Throws: `RktError` with `notFound` when the unit is not loaded.
    public func resetFailedUnit(_ name: String) async throws {
        _ = try await call("ResetFailedUnit", [.string(name)])
    }

    /// Forgets that units failed, all at once; those that did not, or are not there, are left alone.
    ///
    /// - Parameter names: The units' names.
    public func resetFailedUnits(_ names: [String]) async {
        let calls = names.map { managerCall("ResetFailedUnit", [.string($0)]) }
        for reply in (try? await connection.start(all: calls)) ?? [] { _ = try? await reply.value() }
    }

    /// What systemd says of a unit, all of it from the same moment, in one round trip; loads the unit if need be.
    ///
    /// - Parameter name: The unit's name.
    /// - Returns: The state; of a unit that does not exist too, with the load state `not-found`.
    /// - Throws: `RktError` with `invalidArgument` for what is no unit name.
    public func unitProperties(_ name: String) async throws -> UnitState {
        try UnitState(name: name, properties: try await allProperties(name))
    }

    /// Every property of a unit, of all its interfaces, all from the same moment.
    ///
    /// - Parameter name: The unit's name.
    /// - Returns: Values by name.
    /// - Throws: `RktError` with `invalidArgument` for what is no unit name.
    public func allProperties(_ name: String) async throws -> [String: DBusValue] {
        let call = propertyCall(name, "GetAll", [.string("")])
        let reply = try await connection.call(call).expecting("a{sv}", from: "systemd's properties of \(name)")
        return try reply[0].asProperties()
    }

    private func propertyCall(_ unit: String, _ member: String, _ arguments: [DBusValue]) -> DBusCall {
        DBusCall(
            destination: Self.service,
            path: Self.unitPath(unit),
            interface: Self.propertiesInterface,
            member: member,
            arguments: arguments
        )
    }

    /// Where a unit stands, by the few properties that are cheap for systemd: all of them together make it search its
    /// unit directories.
    ///
    /// - Parameter name: The unit's name.
    /// - Returns: The activity.
    /// - Throws: `RktError` with `invalidArgument` for what is no unit name.
    public func unitActivity(_ name: String) async throws -> UnitActivity {
        let names = ["ActiveState", "SubState", "Job"]
        let calls = names.map { propertyCall(name, "Get", [.string(Self.unitInterface), .string($0)]) }
        var properties: [String: DBusValue] = [:]
        for (property, reply) in zip(names, try await connection.start(all: calls)) {
            let value = try await reply.value().expecting("v", from: "systemd's \(property) of \(name)")
            properties[property] = try value[0].asVariant()
        }
        var activity = UnitActivity()
        try activity.take(properties)
        return activity
    }

    /// Waits until a unit is down, failed or not, and has no job: a unit that is being restarted, or waits for its
    /// automatic restart, is not down.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - timeout: How long to wait; nil for as long as it takes.
    /// - Returns: The unit's activity when it was down.
    /// - Throws: `RktError` with `timeout`, naming the unit and the state it is in, `unavailable` when the connection
    ///   ended, `cancelled`.
    @discardableResult
    public func waitUntilInactive(_ name: String, timeout: Duration? = nil) async throws -> UnitActivity {
        try await wait(for: name, timeout: timeout) { $0.isInactive }
    }

    /// Waits until a unit is as wanted, by systemd's signals.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - timeout: How long to wait; nil for as long as it takes.
    ///   - isWanted: Whether an activity is the one waited for.
    /// - Returns: The activity.
    /// - Throws: `RktError` as ``waitUntilInactive(_:timeout:)``.
    @discardableResult
    public func wait(
        for name: String,
        timeout: Duration? = nil,
        until isWanted: (UnitActivity) -> Bool
    ) async throws -> UnitActivity {
        let changes = try await connection.signals(
            matching: DBusSignalMatch(
                sender: Self.service,
                path: Self.unitPath(name),
                interface: Self.propertiesInterface,
                member: "PropertiesChanged"
            ),
            timeout: timeout
        )
        var activity = try await unitActivity(name)
        var iterator = changes.makeAsyncIterator()
        while !isWanted(activity) {
            do {
                guard let signal = try await iterator.next() else { break }
                let fields = try signal.arguments.expecting("sa{sv}as", from: "systemd's signal PropertiesChanged")
                // Only the common interface has what decides; that of the type changes more often.
                guard try fields[0].asString() == Self.unitInterface else { continue }
                try activity.take(try fields[1].asProperties())
            } catch let error as RktError where error.code == .timeout {
                let state = "\(activity.activeState) (\(activity.subState))"
                throw RktError(.timeout, "\(name) is still \(state) after its deadline")
            }
        }
        return activity
    }
}
