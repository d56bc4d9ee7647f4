public import DBusBridge
internal import Diagnostics
internal import LinuxOS

/// What machined is to know of a machine.
public struct RegisterMachineRequest: Sendable {
    /// The machine's name: a valid host name of at most 64 characters.
    public var name: String
    /// The machine id, 16 bytes; the one in the machine's `/etc/machine-id`.
    public var id: [UInt8]
    /// What made the machine, as `machinectl` shows it.
    public var service = "rkt"
    /// The machine's first process, as the host numbers it; 0 for the caller.
    public var leader: UInt32
    /// The machine's first process by descriptor: cannot be mistaken for a later process of that number.
    public var leaderPidfd: DBusDescriptor?
    /// The machine's root as the host sees it, for display only; may be empty.
    public var rootDirectory: String

    /// Describes a machine.
    ///
    /// - Parameters:
    ///   - name: A valid host name of at most 64 characters.
    ///   - id: The machine id, 16 bytes.
    ///   - leader: The machine's first process, as the host numbers it.
    ///   - leaderPidfd: The same by descriptor.
    ///   - rootDirectory: The machine's root as the host sees it.
    public init(
        name: String,
        id: [UInt8],
        leader: UInt32,
        leaderPidfd: DBusDescriptor? = nil,
        rootDirectory: String = ""
    ) {
        self.name = name
        self.id = id
        self.leader = leader
        self.leaderPidfd = leaderPidfd
        self.rootDirectory = rootDirectory
    }
}

/// machined, by the system bus.
public final class MachineManager: Sendable {
    /// The connection.
    public let connection: DBusConnection

    static let service = "org.freedesktop.machine1"
    private static let path = "/org/freedesktop/machine1"
    private static let managerInterface = "org.freedesktop.machine1.Manager"
    private static let machineInterface = "org.freedesktop.machine1.Machine"
    /// What shares the host's kernel.
    private static let machineClass = "container"

    /// Uses a connection.
    ///
    /// - Parameter connection: A connection to the bus that machined is on.
    public init(connection: DBusConnection) {
        self.connection = connection
    }

    /// Registers a machine.
    ///
    /// Call this from the process that shall get SIGTERM when the machine is terminated: from 258 on machined takes
    /// the caller for the machine's supervisor.
    ///
    /// - Parameters:
    ///   - request: The machine.
    ///   - capabilities: What the host's systemd can do, to save a round trip to an older machined.
    /// - Throws: `RktError` with `alreadyExists` when there is a machine of that name, `permissionDenied`,
    ///   `missingDependency` when machined is not installed, `invalidArgument` for an id that is not 16 bytes.
    public func register(_ request: RegisterMachineRequest, capabilities: SystemCapabilities? = nil) async throws {
        guard request.id.count == 16 else {
            throw RktError(.invalidArgument, "the id of machine \(request.name) has \(request.id.count) bytes, not 16")
        }
        if let pidfd = request.leaderPidfd, capabilities?.registerMachineEx != false {
            do {
                _ = try await call("RegisterMachineEx", Self.extendedArguments(request, pidfd), returns: "o")
                return
            } catch let error as RktError
                where error.dbusError?.name == "org.freedesktop.DBus.Error.UnknownMethod"
            {
                // machined is older than 259.
            }
        }
        let arguments: [DBusValue] = [
            .string(request.name), .bytes(request.id), .string(request.service),
            .string(Self.machineClass), .uint32(request.leader), .string(request.rootDirectory),
        ]
        _ = try await call("RegisterMachine", arguments, returns: "o")
    }

    private static func extendedArguments(_ request: RegisterMachineRequest, _ pidfd: DBusDescriptor) -> [DBusValue] {
        var properties: [(String, DBusValue)] = [
            ("Id", .bytes(request.id)),
            ("Service", .string(request.service)),
            ("Class", .string(Self.machineClass)),
            ("LeaderPIDFD", .fileDescriptor(pidfd)),
        ]
        if !request.rootDirectory.isEmpty { properties.append(("RootDirectory", .string(request.rootDirectory))) }
        return [.string(request.name), .properties(properties)]
    }

    /// The machine that a process is in, by its unit or because it is the machine's leader.
    ///
    /// - Parameter pid: The process.
    /// - Returns: The machine.
    /// - Throws: `RktError` with `notFound` when it is in none.
    public func machine(ofProcess pid: Int32) async throws -> Machine {
        let path = try await call("GetMachineByPID", [.uint32(UInt32(pid))], returns: "o")[0].asObjectPath()
        let get = DBusCall(
            destination: Self.service,
            path: path,
            interface: "org.freedesktop.DBus.Properties",
            member: "GetAll",
            arguments: [.string(Self.machineInterface)]
        )
        do {
            let reply = try await connection.call(get).expecting("a{sv}", from: "machined's properties of \(path)")
            let properties = try reply[0].asProperties()
            return try Machine(name: properties["Name"]?.asString() ?? "", properties: properties)
        } catch let error as RktError where error.dbusError?.code == .notFound {
            throw RktError(.notFound, "no machine \(path)", cause: error)
        }
    }

    /// Forgets a machine without touching its processes.
    ///
    /// - Parameters:
    ///   - name: The machine's name.
    ///   - startsService: Whether a machined that does not run is started for it: it may have a note of the machine,
    ///     and when it finds the machine dead, it stops what has the name of the machine's unit by then.
    /// - Throws: `RktError` with `notFound` when there is no such machine.
    public func unregister(_ name: String, startsService: Bool = false) async throws {
        _ = try await call("UnregisterMachine", [.string(name)], startsService: startsService)
    }

    /// Waits until machined knows no machine of a name any more.
    ///
    /// - Parameters:
    ///   - name: The machine's name.
    ///   - timeout: How long to wait.
    /// - Throws: `RktError` with `timeout`.
    public func waitUntilGone(_ name: String, timeout: Duration) async throws {
        let removals = try await connection.signals(
            matching: DBusSignalMatch(
                sender: Self.service,
                path: Self.path,
                interface: Self.managerInterface,
                member: "MachineRemoved",
                argument0: name
            ),
            timeout: timeout
        )
        do {
            // machined forgets machines that have ended when it starts. One that has lost its bus cannot be started,
            // and the bus would try for 25 s.
            _ = try await call("GetMachine", [.string(name)], returns: "o", startsService: false)
        } catch let error as RktError
            where error.dbusError?.code == .notFound || Self.isAbsence(error.dbusError?.name)
        {
            return
        }
        var iterator = removals.makeAsyncIterator()
        _ = try await iterator.next()
    }

    /// Whether an error says that nobody has the name that was called.
    private static func isAbsence(_ name: String?) -> Bool {
        name == "org.freedesktop.DBus.Error.ServiceUnknown" || name == "org.freedesktop.DBus.Error.NameHasNoOwner"
    }

    private func call(
        _ member: String,
        _ arguments: [DBusValue] = [],
        returns signature: String = "",
        startsService: Bool = true
    ) async throws -> [DBusValue] {
        var call = DBusCall(
            destination: Self.service,
            path: Self.path,
            interface: Self.managerInterface,
            member: member,
            arguments: arguments
        )
        call.startsService = startsService
        do {
            return try await connection.call(call).expecting(signature, from: "machined's reply to \(member)")
        } catch let error as RktError
            where startsService && error.dbusError?.name == "org.freedesktop.DBus.Error.ServiceUnknown"
        {
            throw RktError(
                .missingDependency,
                "systemd-machined is not there; install the package systemd-container",
                cause: error
            )
        }
    }
}
