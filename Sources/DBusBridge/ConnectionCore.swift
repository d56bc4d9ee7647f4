internal import CDBus
internal import Diagnostics
internal import Glibc

/// The state of one connection.
///
/// Unchecked, because the compiler cannot see it: from the start of the loop to its end only the loop's thread, which
/// is the executor of the connection's actor, touches what is in here.
final class ConnectionCore: DBusLoopSource, @unchecked Sendable {
    struct PendingCall {
        let name: String
        let timeout: Duration
        let deadline: ContinuousClock.Instant
        let complete: (Result<[DBusValue], any Error>) -> Void
    }

    /// What the connection leads to, for errors.
    let name: String
    /// Whether there is a bus between us and the services.
    let isBus: Bool
    var raw: OpaquePointer?
    let watches = WatchSet()
    var pending: [UInt32: PendingCall] = [:]
    var waitsForAuthentication = false
    var streams: [Int: SignalStream] = [:]
    var lastStream = 0
    /// The unique names behind the well-known ones in matches; nil for one that has no owner now.
    var owners: [String: String?] = [:]
    var nextDeadline: ContinuousClock.Instant?
    /// Why nothing works any more.
    var ending: RktError?

    init(name: String, isBus: Bool) {
        self.name = name
        self.isBus = isBus
    }

    /// The key in `pending` of waiting for authentication: no message has this serial.
    static let authentication: UInt32 = 0

    // MARK: Opening and ending

    func open(address: String) throws {
        // Without this libdbus makes the whole process, and what it executes, ignore SIGPIPE; it writes with
        // MSG_NOSIGNAL anyway.
        dbus_connection_set_change_sigpipe(0)
        var error = CDBus.DBusError()
        dbus_error_init(&error)
        defer { dbus_error_free(&error) }
        guard !address.utf8.contains(0), let opened = dbus_connection_open_private(address, &error) else {
            let cause = DBusError(
                name: error.name.map { String(cString: $0) } ?? "org.freedesktop.DBus.Error.BadAddress",
                message: error.message.map { String(cString: $0) } ?? ""
            )
            // FileNotFound and NoServer mean the same here: nobody to talk to.
            let code: RktError.Code = cause.code == .permissionDenied ? .permissionDenied : .unavailable
            throw RktError(code, "cannot connect to \(name)", cause: cause)
        }
        raw = opened
        dbus_connection_set_exit_on_disconnect(opened, 0)
        dbus_connection_set_max_message_size(opened, WireLimits.messageBytes)
        dbus_connection_set_max_received_size(opened, 4 * WireLimits.messageBytes)
        dbus_connection_set_max_message_unix_fds(opened, WireLimits.descriptors)
        dbus_connection_set_max_received_unix_fds(opened, 4 * WireLimits.descriptors)
        let context = Unmanaged.passUnretained(self).toOpaque()
        let isFiltered = dbus_connection_add_filter(
            opened,
            { _, message, context in
                guard let message, let context else { return DBUS_HANDLER_RESULT_NOT_YET_HANDLED }
                return Unmanaged<ConnectionCore>.fromOpaque(context).takeUnretainedValue().handle(message)
            },
            context,
            nil
        )
        guard isFiltered != 0, watches.attach(connection: opened) else {
            let error = RktError(.limitExceeded, "out of memory when connecting to \(name)")
            end(with: error)
            throw error
        }
    }

    /// Fails all that waits, and whatever is asked for later, with an error; closes the connection.
    func end(with error: RktError) {
        if ending == nil { ending = error }
        let calls = pending
        let ended = streams
        pending = [:]
        streams = [:]
        for call in calls.values { call.complete(.failure(error.adding("waiting for the reply to \(call.name)"))) }
        for stream in ended.values { stream.continuation.finish(throwing: error) }
        guard let closing = raw else { return }
        raw = nil
        dbus_connection_close(closing)
        dbus_connection_unref(closing)
    }

    func shutDown() {
        end(with: RktError(.unavailable, "the D-Bus connection to \(name) was closed"))
    }

    // MARK: The loop

    func appendPolled(to polled: inout [pollfd]) {
        watches.appendPolled(to: &polled)
    }

    func service(_ polled: ArraySlice<pollfd>) {
        guard let connection = raw else { return }
        watches.handle(polled)
        if waitsForAuthentication, dbus_connection_get_is_authenticated(connection) != 0 {
            waitsForAuthentication = false
            pending.removeValue(forKey: Self.authentication)?.complete(.success([]))
        }
        // A message's handler may end the connection.
        dbus_connection_ref(connection)
        while dbus_connection_dispatch(connection) == DBUS_DISPATCH_DATA_REMAINS {}
        dbus_connection_unref(connection)
    }

    func passDeadlines(_ now: ContinuousClock.Instant) {
        let late = pending.filter { $0.value.deadline <= now }
        for (serial, call) in late {
            pending.removeValue(forKey: serial)
            call.complete(.failure(RktError(.timeout, "no reply to \(call.name) within \(call.timeout)")))
        }
        for (identifier, stream) in streams {
            guard let deadline = stream.deadline, deadline <= now else { continue }
            stream.continuation.finish(throwing: RktError(.timeout, "no such signal from \(name) in time"))
            dropStream(identifier)
        }
        let deadlines = pending.values.map(\.deadline) + streams.values.compactMap(\.deadline)
        nextDeadline = deadlines.min()
    }

    func note(deadline: ContinuousClock.Instant) {
        // Not taken back when the call ends first: that wakes the thread once for nothing, and saves a search.
        nextDeadline = nextDeadline.map { min($0, deadline) } ?? deadline
    }

    // MARK: Messages that arrive

    private func handle(_ message: OpaquePointer) -> DBusHandlerResult {
        switch dbus_message_get_type(message) {
        case DBUS_MESSAGE_TYPE_METHOD_RETURN, DBUS_MESSAGE_TYPE_ERROR:
            if let call = pending.removeValue(forKey: dbus_message_get_reply_serial(message)) {
                call.complete(Result { try Self.outcome(of: message, for: call) })
            }
            return DBUS_HANDLER_RESULT_HANDLED
        case DBUS_MESSAGE_TYPE_SIGNAL:
            if dbus_message_is_signal(message, "org.freedesktop.DBus.Local", "Disconnected") != 0 {
                let reason = RktError(.unavailable, "the D-Bus connection to \(name) was closed by the other side")
                end(with: reason)
            } else {
                deliver(message)
            }
            return DBUS_HANDLER_RESULT_HANDLED
        default:
            // libdbus answers pings, and anything else with UnknownMethod.
            return DBUS_HANDLER_RESULT_NOT_YET_HANDLED
        }
    }

    private static func outcome(of message: OpaquePointer, for call: PendingCall) throws -> [DBusValue] {
        guard dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_ERROR else {
            return try withContext("the reply to \(call.name)") { try MessageDecoder.arguments(of: message) }
        }
        let error = DBusError(
            name: dbus_message_get_error_name(message).map { String(cString: $0) } ?? "",
            message: MessageDecoder.firstString(of: message) ?? ""
        )
        throw RktError(error.code, "calling \(call.name)", cause: error)
    }
}
