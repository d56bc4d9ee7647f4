public import DBusBridge
internal import Diagnostics

/// The manager object of a systemd: the host's, a user's or one in a pod.
///
/// systemd is one thread that everybody waits for, so each method sends as little as it can: units are addressed by
/// the path that follows from their name, and what belongs together is sent at once.
public final class SystemdManager: Sendable {
    /// The connection.
    public let connection: DBusConnection
    /// Whether the connection leads to the systemd itself, without a bus.
    public let isPeer: Bool

    static let service = "org.freedesktop.systemd1"
    static let path = "/org/freedesktop/systemd1"
    static let managerInterface = "org.freedesktop.systemd1.Manager"
    static let unitInterface = "org.freedesktop.systemd1.Unit"
    static let propertiesInterface = "org.freedesktop.DBus.Properties"

    /// The ways to systemd.
    public enum Way: Sendable {
        /// The system bus if there is one, else systemd's own socket. For all that waits for signals: systemd makes
        /// each signal once for the bus, but once more for every connection to its own socket, wanted there or not.
        case bus
        /// systemd's own socket if there is one, else the system bus: no bus needed, and fewer steps for a single call.
        case direct
    }

    /// Connects to the host's systemd.
    ///
    /// - Parameters:
    ///   - way: Which way to try first.
    ///   - socketPath: systemd's own socket.
    ///   - busFallback: Whether to go by the system bus where the socket is missing or not for us.
    /// - Returns: The manager.
    /// - Throws: `RktError` with `unavailable` when there is no way to systemd, `timeout` when it does not answer.
    public static func connect(
        _ way: Way = .bus,
        socketPath: String = "/run/systemd/private",
        busFallback: Bool = true
    ) async throws -> SystemdManager {
        if way == .bus {
            do {
                return try await connectByBus(patience: .seconds(30))
            } catch let error as RktError
                where [.unavailable, .permissionDenied, .limitExceeded, .timeout].contains(error.code)
            {
                // The bus takes only so many connections of one user.
                return try await connect(.direct, socketPath: socketPath, busFallback: false)
            }
        }
        do {
            return SystemdManager(connection: try await .peer(socketPath: socketPath), isPeer: true)
        } catch let error as RktError where busFallback && [.unavailable, .permissionDenied].contains(error.code) {
            return try await connectByBus(patience: .seconds(30))
        }
    }

    /// Connects by the system bus; waits for a systemd that is just executing itself anew.
    private static func connectByBus(patience: Duration) async throws -> SystemdManager {
        let deadline = ContinuousClock.now + patience
        while true {
            let manager = SystemdManager(connection: try await .systemBus(), isPeer: false)
            do {
                try await manager.greet(until: deadline)
                return manager
            } catch let error as RktError where error.code == .unavailable && ContinuousClock.now < deadline {
                continue
            }
        }
    }

    /// Subscribes to systemd's signals, in one round trip where it is on the bus, as it nearly always is.
    private func greet(until deadline: ContinuousClock.Instant) async throws {
        let isThere = try await connection.start(Self.ownerQuestion)
        let subscribed = try await connection.start(managerCall("Subscribe"))
        let answer = try await isThere.value().expecting("b", from: "the bus's reply to NameHasOwner")
        guard try answer[0].asBool() else {
            try await waitForOwner(until: deadline)
            return try await subscribe()
        }
        do {
            _ = try await subscribed.value()
        } catch let error as RktError where error.dbusError?.name == Self.alreadySubscribed {}
    }

    private static let bus = "org.freedesktop.DBus"
    private static let alreadySubscribed = "org.freedesktop.systemd1.AlreadySubscribed"

    private static let ownerQuestion = DBusCall(
        destination: bus,
        path: "/org/freedesktop/DBus",
        interface: bus,
        member: "NameHasOwner",
        arguments: [.string(service)]
    )

    /// Waits until systemd has its name on the bus.
    private func waitForOwner(until deadline: ContinuousClock.Instant) async throws {
        let changes = try await connection.signals(
            matching: DBusSignalMatch(
                sender: Self.bus,
                path: "/org/freedesktop/DBus",
                interface: Self.bus,
                member: "NameOwnerChanged",
                argument0: Self.service
            ),
            timeout: deadline - .now
        )
        let answer = try await connection.call(Self.ownerQuestion)
        if try answer.expecting("b", from: "the bus's reply to NameHasOwner")[0].asBool() { return }
        var iterator = changes.makeAsyncIterator()
        while let change = try await iterator.next() {
            let fields = try change.arguments.expecting("sss", from: "the bus's signal NameOwnerChanged")
            if try !fields[2].asString().isEmpty { return }
        }
    }

    /// Uses a connection.
    ///
    /// - Parameters:
    ///   - connection: The connection; on a bus, ``subscribe()`` must be called before anything that waits.
    ///   - isPeer: Whether the connection leads to the systemd itself.
    public init(connection: DBusConnection, isPeer: Bool) {
        self.connection = connection
        self.isPeer = isPeer
    }

    /// Ends the connection: what waits on it fails with `unavailable`.
    public func close() async {
        await connection.close()
    }

    /// Makes systemd send signals to the bus; needed once per connection to a bus.
    ///
    /// - Throws: `RktError` when systemd refuses.
    public func subscribe() async throws {
        do {
            _ = try await call("Subscribe")
        } catch let error as RktError where error.dbusError?.name == Self.alreadySubscribed {}
    }

    /// The object of a unit.
    ///
    /// - Parameter name: The unit's name.
    /// - Returns: The path.
    public static func unitPath(_ name: String) -> String { "\(path)/unit/\(BusLabel.escape(name))" }

    // MARK: Calls

    func managerCall(_ member: String, _ arguments: [DBusValue] = []) -> DBusCall {
        DBusCall(
            destination: Self.service,
            path: Self.path,
            interface: Self.managerInterface,
            member: member,
            arguments: arguments
        )
    }

    func call(
        _ member: String,
        _ arguments: [DBusValue] = [],
        returns signature: String = "",
        timeout: Duration = .seconds(25)
    ) async throws -> [DBusValue] {
        try await connection.call(managerCall(member, arguments), timeout: timeout)
            .expecting(signature, from: "systemd's reply to \(member)")
    }

    // MARK: The manager itself

    /// systemd's version.
    ///
    /// - Returns: The version.
    /// - Throws: `RktError` when it cannot be asked.
    public func version() async throws -> SystemdVersion {
        let call = DBusCall(
            destination: Self.service,
            path: Self.path,
            interface: Self.propertiesInterface,
            member: "Get",
            arguments: [.string(Self.managerInterface), .string("Version")]
        )
        let reply = try await connection.call(call).expecting("v", from: "systemd's reply to Get")
        return try SystemdVersion(reply[0].asVariant().asString())
    }

    /// What this systemd can do: the one probe; keep the answer.
    ///
    /// - Returns: The capabilities.
    /// - Throws: `RktError` with `unsupported` when systemd is older than this project supports.
    public func capabilities() async throws -> SystemCapabilities {
        let capabilities = SystemCapabilities(version: try await version())
        guard capabilities.isSupported else {
            let oldest = SystemCapabilities.oldestSupported
            throw RktError(.unsupported, "systemd \(capabilities.version) is too old; \(oldest) or newer is needed")
        }
        return capabilities
    }

    // MARK: Lists

    /// The loaded units whose names match.
    ///
    /// - Parameters:
    ///   - patterns: Shell patterns for names; none for all units.
    ///   - states: Load, active or sub states, any of which a unit must be in; none for all.
    /// - Returns: The units, in systemd's order.
    /// - Throws: `RktError` when systemd cannot be asked.
    public func listUnits(patterns: [String], states: [String] = []) async throws -> [ListedUnit] {
        let arguments: [DBusValue] = [.strings(states), .strings(patterns)]
        return try await list("ListUnitsByPatterns", arguments)
    }

    private func list(_ member: String, _ arguments: [DBusValue]) async throws -> [ListedUnit] {
        try Self.units(try await connection.call(managerCall(member, arguments)))
    }

    /// The units in a reply.
    static func units(_ reply: [DBusValue]) throws -> [ListedUnit] {
        try reply.expecting("a(ssssssouso)", from: "systemd's list of units")[0].asArray().map { try ListedUnit($0) }
    }
}
