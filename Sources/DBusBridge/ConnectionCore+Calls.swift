internal import CDBus
internal import Diagnostics

extension ConnectionCore {
    /// Sends a call.
    ///
    /// - Parameters:
    ///   - call: The call.
    ///   - timeout: How long the reply may take.
    ///   - complete: Called once, on this thread, with the reply or why there is none; at once for a call without
    ///     reply.
    /// - Throws: `RktError` when the call is malformed or the connection has ended; `complete` is not called then.
    func send(
        _ call: DBusCall,
        timeout: Duration,
        complete: @escaping (Result<[DBusValue], any Error>) -> Void
    ) throws {
        guard let raw else {
            throw ending ?? RktError(.unavailable, "the D-Bus connection to \(name) is not open")
        }
        let message = try Self.message(for: call)
        defer { dbus_message_unref(message) }
        if dbus_message_contains_unix_fds(message) != 0, dbus_connection_can_send_type(raw, WireType.unixFD) == 0 {
            throw RktError(.unsupported, "\(name) takes no file descriptors over D-Bus")
        }
        var serial: UInt32 = 0
        if dbus_connection_send(raw, message, &serial) == 0 {
            throw RktError(.limitExceeded, "out of memory when calling \(call.name)")
        }
        if call.noReply { return complete(.success([])) }
        let deadline = ContinuousClock.now.advanced(by: timeout)
        pending[serial] = PendingCall(name: call.name, timeout: timeout, deadline: deadline, complete: complete)
        note(deadline: deadline)
    }

    /// Waits until the other side knows who we are; only then descriptors can be sent.
    func whenAuthenticated(timeout: Duration, complete: @escaping (Result<[DBusValue], any Error>) -> Void) throws {
        guard let raw else {
            throw ending ?? RktError(.unavailable, "the D-Bus connection to \(name) is not open")
        }
        if dbus_connection_get_is_authenticated(raw) != 0 { return complete(.success([])) }
        waitsForAuthentication = true
        let deadline = ContinuousClock.now.advanced(by: timeout)
        pending[Self.authentication] = PendingCall(
            name: "the authentication at \(name)",
            timeout: timeout,
            deadline: deadline,
            complete: complete
        )
        note(deadline: deadline)
    }

    private static func message(for call: DBusCall) throws -> OpaquePointer {
        let names: [(String, String, (UnsafePointer<CChar>) -> dbus_bool_t)] = [
            ("bus name", call.destination ?? "a.b", { dbus_validate_bus_name($0, nil) }),
            ("object path", call.path, { dbus_validate_path($0, nil) }),
            ("interface", call.interface, { dbus_validate_interface($0, nil) }),
            ("method", call.member, { dbus_validate_member($0, nil) }),
        ]
        for (kind, text, isValid) in names where text.utf8.contains(0) || text.withCString(isValid) == 0 {
            throw RktError(.invalidArgument, "\(text.prefix(80).debugDescription) is no D-Bus \(kind)")
        }
        guard let message = dbus_message_new_method_call(call.destination, call.path, call.interface, call.member)
        else { throw RktError(.limitExceeded, "out of memory when calling \(call.name)") }
        do {
            try withContext("calling \(call.name)") { try MessageEncoder.append(call.arguments, to: message) }
        } catch {
            dbus_message_unref(message)
            throw error
        }
        if call.noReply { dbus_message_set_no_reply(message, 1) }
        if !call.startsService { dbus_message_set_auto_start(message, 0) }
        if call.allowsInteractiveAuthorization { dbus_message_set_allow_interactive_authorization(message, 1) }
        return message
    }
}
