internal import DBusBridge
internal import Diagnostics

/// A scope to be made around processes that systemd has not started.
public struct ScopeRequest: Sendable {
    /// The scope's name.
    public var name: String
    /// What it is, as systemd shows it.
    public var description: String
    /// The slice it is in.
    public var slice: String
    /// The processes that it begins with.
    public var processes: [Int32]
    /// Whether its cgroup is for its processes to divide.
    public var isDelegated = false
    /// How many tasks it may have; nil for systemd's default.
    public var tasksMax: UInt64?
    /// The devices that it may use beside the usual ones, with the rights to them; nil for all.
    public var devices: [(path: String, rights: String)]?
    /// How long its processes may take to end.
    public var stopTimeout: Duration?

    /// Describes a scope.
    ///
    /// - Parameters:
    ///   - name: The scope's name.
    ///   - description: What it is.
    ///   - slice: The slice it is in.
    ///   - processes: The processes that it begins with.
    public init(name: String, description: String, slice: String, processes: [Int32]) {
        self.name = name
        self.description = description
        self.slice = slice
        self.processes = processes
    }

    fileprivate var properties: [(String, DBusValue)] {
        var properties: [(String, DBusValue)] = [
            ("PIDs", .array(elementSignature: "u", processes.map { .uint32(UInt32($0)) })),
            ("Description", .string(description)),
            ("Slice", .string(slice)),
            ("Delegate", .bool(isDelegated)),
            // A transient unit that has failed would have to be put away by somebody.
            ("CollectMode", .string("inactive-or-failed")),
        ]
        if let tasksMax { properties.append(("TasksMax", .uint64(tasksMax))) }
        if let devices {
            let rules = devices.map { DBusValue.structure([.string($0.path), .string($0.rights)]) }
            properties.append(("DevicePolicy", .string("closed")))
            properties.append(("DeviceAllow", .array(elementSignature: "(ss)", rules)))
        }
        if let stopTimeout {
            properties.append(("TimeoutStopUSec", .uint64(UInt64(stopTimeout / .microseconds(1)))))
        }
        return properties
    }
}

extension SystemdManager {
    /// Makes a scope and waits until its processes are in it. Where this connection is on a bus it is the scope's
    /// controller: when the scope is stopped, systemd asks it to end the processes, and kills them only when they take
    /// too long.
    ///
    /// - Parameter request: The scope.
    /// - Throws: `RktError` as ``startTransientUnit(_:properties:mode:timeout:)``.
    public func startScope(_ request: ScopeRequest) async throws {
        var properties = request.properties
        if !isPeer { properties.append(("Controller", .string(await connection.uniqueName))) }
        try await startTransientUnit(request.name, properties: properties)
    }

    /// Puts away a scope that may have no processes: systemd hears of no end there, and would wait for its controller.
    /// What still is in it is killed. One that is gone is none too few.
    ///
    /// - Parameter name: The scope's name.
    /// - Throws: `RktError` when systemd cannot be asked.
    public func discardScope(_ name: String) async throws {
        let calls = [
            managerCall("AbandonScope", [.string(name)]),
            managerCall("StopUnit", [.string(name), .string(JobMode.replace.rawValue)]),
        ]
        for reply in try await connection.start(all: calls) {
            do {
                _ = try await reply.value()
            } catch let error as RktError where error.code != .unavailable && error.code != .timeout {
                // It is gone, or abandoned already.
            }
        }
    }

    /// Connects to a systemd by a program that passes on what goes between its standard input and output and that
    /// systemd's own socket.
    ///
    /// - Parameters:
    ///   - program: The program's absolute path.
    ///   - arguments: Its arguments, without its own name.
    ///   - name: Which systemd it is, for errors.
    ///   - timeout: How long that may take to accept us.
    /// - Returns: The manager.
    /// - Throws: `RktError` with `unavailable` when there is no way to it, `timeout` when it does not answer.
    public static func connect(
        through program: String,
        _ arguments: [String],
        name: String,
        timeout: Duration
    ) async throws -> SystemdManager {
        let connection = try await DBusConnection.peer(through: program, arguments, name: name, timeout: timeout)
        return SystemdManager(connection: connection, isPeer: true)
    }
}
