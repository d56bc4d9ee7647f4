public import DBusBridge
internal import Diagnostics
internal import LinuxOS
internal import Glibc

/// What machined is to know of a machine.
public struct RegisterMachineRequest: Sendable {
    /// The kinds of machine.
    public enum Class: String, Sendable {
        /// A container: shares the host's kernel.
        case container
        /// A virtual machine.
        case vm
    }

    /// The machine's name: a valid host name of at most 64 characters.
    public var name: String
    /// The machine id, 16 bytes; the one in the machine's `/etc/machine-id`.
    public var id: [UInt8]
    /// What made the machine, as `machinectl` shows it.
    public var service = "rkt"
    /// The kind of machine.
    public var machineClass = Class.container
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

    /// Connects to the system bus; machined itself is started by the first call.
    ///
    /// - Returns: The manager.
    /// - Throws: `RktError` with `unavailable` when there is no bus.
    public static func connect() async throws -> MachineManager {
        MachineManager(connection: try await .systemBus())
    }

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
            .string(request.machineClass.rawValue), .uint32(request.leader), .string(request.rootDirectory),
        ]
        _ = try await call("RegisterMachine", arguments, returns: "o")
    }

    private static func extendedArguments(_ request: RegisterMachineRequest, _ pidfd: DBusDescriptor) -> [DBusValue] {
        var properties: [(String, DBusValue)] = [
            ("Id", .bytes(request.id)),
            ("Service", .string(request.service)),
            ("Class", .string(request.machineClass.rawValue)),
            ("LeaderPIDFD", .fileDescriptor(pidfd)),
        ]
        if !request.rootDirectory.isEmpty { properties.append(("RootDirectory", .string(request.rootDirectory))) }
        return [.string(request.name), .properties(properties)]
    }

    /// What machined knows of a machine.
    ///
    /// - Parameter name: The machine's name.
    /// - Returns: The machine.
    /// - Throws: `RktError` with `notFound` when there is no such machine.
    public func machine(_ name: String) async throws -> Machine {
        // The path follows from the name, but an object that is not there is reported as such only by GetMachine.
        let path = try await call("GetMachine", [.string(name)], returns: "o")[0].asObjectPath()
        return try await machine(at: path, name)
    }

    /// The machine that a process is in, by its unit or because it is the machine's leader.
    ///
    /// - Parameter pid: The process.
    /// - Returns: The machine.
    /// - Throws: `RktError` with `notFound` when it is in none.
    public func machine(ofProcess pid: Int32) async throws -> Machine {
        let path = try await call("GetMachineByPID", [.uint32(UInt32(pid))], returns: "o")[0].asObjectPath()
        return try await machine(at: path, nil)
    }

    private func machine(at path: String, _ name: String?) async throws -> Machine {
        let label = name ?? path
        let get = DBusCall(
            destination: Self.service,
            path: path,
            interface: "org.freedesktop.DBus.Properties",
            member: "GetAll",
            arguments: [.string(Self.machineInterface)]
        )
        do {
            let reply = try await connection.call(get).expecting("a{sv}", from: "machined's properties of \(label)")
            let properties = try reply[0].asProperties()
            return try Machine(name: name ?? properties["Name"]?.asString() ?? "", properties: properties)
        } catch let error as RktError where error.dbusError?.code == .notFound {
            throw RktError(.notFound, "no machine \(label)", cause: error)
        }
    }

    /// The machines, without the host itself.
    ///
    /// - Returns: A line for each.
    /// - Throws: `RktError` when machined cannot be asked.
    public func list() async throws -> [ListedMachine] {
        try await call("ListMachines", returns: "a(ssso)")[0].asArray()
            .map { try ListedMachine($0) }
            .filter { $0.machineClass != "host" }
    }

    /// Ends a machine, as `machinectl terminate` does.
    ///
    /// - Parameter name: The machine's name.
    /// - Throws: `RktError` with `notFound` when there is no such machine.
    public func terminate(_ name: String) async throws {
        _ = try await call("TerminateMachine", [.string(name)])
    }

    /// Forgets a machine without touching its processes.
    ///
    /// - Parameters:
    ///   - name: The machine's name.
    ///   - startsService: Whether a machined that does not run is started for it: it may have a note of the machine, and
    ///     when it finds the machine dead, it stops what has the name of the machine's unit by then.
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
            // machined forgets machines that have ended when it starts. One that has lost its bus cannot be started, and
            // the bus would try for 25 s.
            _ = try await call("GetMachine", [.string(name)], returns: "o", startsService: false)
        } catch let error as RktError
            where error.dbusError?.code == .notFound || Self.isAbsence(error.dbusError?.name)
        {
            return
        }
        var iterator = removals.makeAsyncIterator()
        _ = try await iterator.next()
    }

    /// Which processes of a machine get a signal.
    public enum KillWhom: String, Sendable {
        /// The machine's first process.
        case leader
        /// Every process.
        case all
    }

    /// Sends a signal to a machine's processes.
    ///
    /// - Parameters:
    ///   - name: The machine's name.
    ///   - whom: Which of its processes.
    ///   - signal: The signal's number.
    /// - Throws: `RktError` with `notFound` when there is no such machine.
    public func kill(_ name: String, whom: KillWhom = .leader, signal: Int32) async throws {
        _ = try await call("KillMachine", [.string(name), .string(whom.rawValue), .int32(signal)])
    }

    /// A machine's IP addresses.
    ///
    /// - Parameter name: The machine's name.
    /// - Returns: The addresses in their usual notation; none for a machine in the host's network.
    /// - Throws: `RktError` with `notFound` when there is no such machine.
    public func addresses(_ name: String) async throws -> [String] {
        let reply: [DBusValue]
        do {
            reply = try await call("GetMachineAddresses", [.string(name)], returns: "a(iay)")
        } catch let error as RktError where error.dbusError?.name == "org.freedesktop.machine1.NoPrivateNetworking" {
            return []
        }
        return try reply[0].asArray().map { entry in
            let fields = try entry.asStructure("(iay)")
            return try Self.address(family: fields[0].asInt32(), bytes: fields[1].asBytes())
        }
    }

    private static func address(family: Int32, bytes: [UInt8]) throws -> String {
        let isKnown = (family == AF_INET && bytes.count == 4) || (family == AF_INET6 && bytes.count == 16)
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard isKnown, inet_ntop(family, bytes, &text, socklen_t(text.count)) != nil else {
            throw RktError(.invalidData, "machined gave \(bytes.count) bytes as an address of family \(family)")
        }
        return text.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
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
