internal import Diagnostics
internal import Glibc

/// One D-Bus connection, to a bus or to a peer.
///
/// A thread of its own serves it from the first call of a `static func` until the last reference is gone. Calls from
/// many tasks share it and do not wait for each other.
public actor DBusConnection {
    private let loop: DBusLoop
    private let core: ConnectionCore
    /// Our name on the bus; empty on a peer-to-peer connection.
    public private(set) var uniqueName = ""

    /// The thread that serves the connection.
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Connects to the system bus.
    ///
    /// - Parameter timeout: How long the bus may take to accept us.
    /// - Returns: The connection, on which a name has been given to us.
    /// - Throws: `RktError` with `unavailable` when there is no bus, `timeout` when it does not answer.
    public static func systemBus(timeout: Duration = .seconds(25)) async throws -> DBusConnection {
        let address = getenv("DBUS_SYSTEM_BUS_ADDRESS").map { String(cString: $0) } ?? ""
        return try await open(
            address: address.isEmpty ? "unix:path=/run/dbus/system_bus_socket" : address,
            name: "the system bus",
            isBus: true,
            timeout: timeout
        )
    }

    /// Connects to a bus.
    ///
    /// - Parameters:
    ///   - address: A D-Bus address.
    ///   - timeout: How long the bus may take to accept us.
    /// - Returns: The connection, on which a name has been given to us.
    /// - Throws: `RktError` with `unavailable` when there is no bus, `timeout` when it does not answer.
    public static func bus(address: String, timeout: Duration = .seconds(25)) async throws -> DBusConnection {
        try await open(address: address, name: "the bus at \(address)", isBus: true, timeout: timeout)
    }

    /// Connects to a service that listens itself, without a bus.
    ///
    /// - Parameters:
    ///   - socketPath: The path of its socket.
    ///   - timeout: How long the service may take to accept us.
    /// - Returns: The connection; the service has accepted our identity.
    /// - Throws: `RktError` with `unavailable` when nobody listens there or the service refuses us,
    ///   `permissionDenied` when the socket may not be opened, `timeout` when there is no answer.
    public static func peer(socketPath: String, timeout: Duration = .seconds(25)) async throws -> DBusConnection {
        let address = "unix:path=\(escaped(socketPath))"
        return try await open(address: address, name: socketPath, isBus: false, timeout: timeout)
    }

    /// Connects to a service by a program that passes on what goes between its standard input and output and the
    /// service.
    ///
    /// - Parameters:
    ///   - program: The program's absolute path.
    ///   - arguments: Its arguments, without its own name.
    ///   - name: What the connection leads to, for errors.
    ///   - timeout: How long the service may take to accept us.
    /// - Returns: The connection; the service has accepted the program's identity.
    /// - Throws: `RktError` as ``peer(socketPath:timeout:)``.
    public static func peer(
        through program: String,
        _ arguments: [String],
        name: String,
        timeout: Duration = .seconds(25)
    ) async throws -> DBusConnection {
        let words =
            [("path", program), ("argv0", program)]
            + arguments.enumerated().map { ("argv\($0.offset + 1)", $0.element) }
        let address = "unixexec:" + words.map { "\($0.0)=\(escaped($0.1))" }.joined(separator: ",")
        return try await open(address: address, name: name, isBus: false, timeout: timeout)
    }

    /// A value in an address, which has an escape syntax of its own; what needs no escape is left as it is.
    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for byte in value.utf8 {
            let scalar = Unicode.Scalar(byte)
            if byte < 0x80, scalar.properties.isAlphabetic || "0123456789-_/.\\".unicodeScalars.contains(scalar) {
                escaped.unicodeScalars.append(scalar)
            } else {
                escaped += (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
            }
        }
        return escaped
    }

    private static func open(
        address: String,
        name: String,
        isBus: Bool,
        timeout: Duration
    ) async throws -> DBusConnection {
        let connection = try DBusConnection(name: name, isBus: isBus)
        try await connection.open(address: address, timeout: timeout)
        return connection
    }

    private init(name: String, isBus: Bool) throws {
        loop = try DBusLoop()
        core = ConnectionCore(name: name, isBus: isBus)
        try loop.start(serving: core)
    }

    deinit {
        loop.stop()
    }

    private func open(address: String, timeout: Duration) async throws {
        try core.open(address: address)
        if core.isBus {
            let reply = try await call(ConnectionCore.busCall("Hello"), timeout: timeout)
            guard case .string(let given)? = reply.first else {
                throw RktError(.invalidData, "\(core.name) gave us no name")
            }
            uniqueName = given
            return
        }
        let ready = DBusPendingReply(name: "the authentication at \(core.name)")
        try core.whenAuthenticated(timeout: timeout) { ready.complete($0) }
        _ = try await ready.value()
        // systemd's side may read the end of the authentication and the start of what follows at once, and then
        // looks at the latter only when the socket becomes readable again. It reads at most 256 bytes that way, so a
        // first message longer than that always leaves something to read; nobody answers this one.
        let padding = DBusCall(
            destination: nil,
            path: "/",
            interface: "org.freedesktop.DBus.Peer",
            member: "Ping",
            arguments: [.string(String(repeating: "-", count: 512))],
            noReply: true
        )
        try core.send(padding, timeout: timeout) { _ in }
    }

    /// Sends a call and waits for the reply.
    ///
    /// - Parameters:
    ///   - call: The call.
    ///   - timeout: How long the reply may take.
    /// - Returns: The reply's arguments; none for a call without reply.
    /// - Throws: `RktError`: with a ``DBusError`` as its cause when the service answered with an error, `timeout`,
    ///   `unavailable` when the connection ended, `cancelled` when the task was cancelled (the service may carry out
    ///   the call all the same), `invalidArgument` for a malformed call, which is not sent.
    public func call(_ call: DBusCall, timeout: Duration = .seconds(25)) async throws -> [DBusValue] {
        try await start(call, timeout: timeout).value()
    }

    /// Sends a call without waiting for the reply, so that more can be sent at once.
    ///
    /// - Parameters:
    ///   - call: The call.
    ///   - timeout: How long the reply may take.
    /// - Returns: What gives the reply.
    /// - Throws: `RktError` when the call is malformed or the connection has ended.
    public func start(_ call: DBusCall, timeout: Duration = .seconds(25)) throws -> DBusPendingReply {
        let pending = DBusPendingReply(name: call.name)
        try core.send(call, timeout: timeout) { pending.complete($0) }
        return pending
    }

    /// Sends calls in order, all at once.
    ///
    /// - Parameters:
    ///   - calls: The calls.
    ///   - timeout: How long each reply may take.
    /// - Returns: What gives the replies, in the order of the calls.
    /// - Throws: `RktError` when a call is malformed or the connection has ended; those before it have been sent.
    public func start(all calls: [DBusCall], timeout: Duration = .seconds(25)) throws -> [DBusPendingReply] {
        try calls.map { try start($0, timeout: timeout) }
    }

    /// Subscribes to signals: what arrives after this has returned is in the stream.
    ///
    /// - Parameters:
    ///   - match: Which signals.
    ///   - timeout: When the stream ends with `timeout`, counted from now; nil for never.
    ///   - limit: How many signals are kept that nobody has read yet; one more ends the stream with `limitExceeded`.
    /// - Returns: The signals.
    /// - Throws: `RktError` when the bus does not accept the match or the connection has ended.
    public func signals(
        matching match: DBusSignalMatch,
        timeout: Duration? = nil,
        limit: Int = 16_384
    ) async throws -> DBusSignals {
        if let ending = core.ending { throw ending }
        let (stream, continuation) = AsyncThrowingStream.makeStream(
            of: DBusSignal.self,
            throwing: (any Error).self,
            bufferingPolicy: .bufferingOldest(limit)
        )
        let deadline = timeout.map { ContinuousClock.now.advanced(by: $0) }
        let entry = SignalStream(match: match, deadline: deadline, limit: limit, continuation: continuation)
        let identifier = core.add(entry)
        // The stream ends when its reader goes, on whatever thread that is.
        let loop = loop
        continuation.onTermination = { _ in loop.dropStream(identifier) }
        if core.isBus {
            let confirmed = DBusPendingReply(name: "AddMatch of \(core.name)")
            do {
                try core.sendMatch(match, timeout: .seconds(25)) { confirmed.complete($0) }
                _ = try await confirmed.value()
            } catch {
                continuation.finish()
                throw error
            }
        }
        return DBusSignals(stream: stream, connection: self)
    }

    /// Ends the connection: calls that wait fail, streams end with an error, with `unavailable`.
    public func close() {
        core.shutDown()
    }
}
