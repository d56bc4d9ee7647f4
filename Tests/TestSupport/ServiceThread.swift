internal import CDBus
internal import DBusBridge
internal import Diagnostics
internal import Glibc

/// The libdbus side of a ``FakeService``; after ``start()`` touched on its own thread only.
final class ServiceThread {
    enum Command: Sendable {
        case emit([DBusSignal])
        case answerHeld([FakeService.Step])
        case disconnectAll
        case stop
    }

    private let service: FakeService
    private var server: OpaquePointer?
    private let serverWatches = WatchSet()
    private var connections: [(raw: OpaquePointer, watches: WatchSet)] = []
    private var held: [(connection: OpaquePointer, message: OpaquePointer)] = []

    init(service: FakeService) {
        self.service = service
    }

    // MARK: Opening

    func listen(at socketPath: String) throws {
        var error = CDBus.DBusError()
        dbus_error_init(&error)
        defer { dbus_error_free(&error) }
        guard let server = dbus_server_listen("unix:path=\(socketPath)", &error) else {
            throw RktError(.io, "cannot listen at \(socketPath): \(error.message.map { String(cString: $0) } ?? "")")
        }
        self.server = server
        dbus_server_set_new_connection_function(
            server,
            { _, connection, context in
                guard let connection, let context else { return }
                dbus_connection_ref(connection)
                Unmanaged<ServiceThread>.fromOpaque(context).takeUnretainedValue().take(connection)
            },
            Unmanaged.passUnretained(self).toOpaque(),
            nil
        )
        _ = serverWatches.attach(server: server)
    }

    func connect(to address: String, name: String) throws {
        dbus_connection_set_change_sigpipe(0)
        var error = CDBus.DBusError()
        dbus_error_init(&error)
        defer { dbus_error_free(&error) }
        guard let connection = dbus_connection_open_private(address, &error),
            dbus_bus_register(connection, &error) != 0,
            dbus_bus_request_name(connection, name, 0, &error) == 1
        else { throw RktError(.unavailable, "cannot own \(name): \(error.message.map { String(cString: $0) } ?? "")") }
        take(connection)
    }

    private func take(_ connection: OpaquePointer) {
        dbus_connection_set_exit_on_disconnect(connection, 0)
        let watches = WatchSet()
        _ = watches.attach(connection: connection)
        dbus_connection_add_filter(
            connection,
            { connection, message, context in
                guard let connection, let message, let context else { return DBUS_HANDLER_RESULT_NOT_YET_HANDLED }
                return Unmanaged<ServiceThread>.fromOpaque(context).takeUnretainedValue().handle(connection, message)
            },
            Unmanaged.passUnretained(self).toOpaque(),
            nil
        )
        connections.append((connection, watches))
    }

    func start() throws {
        var thread = pthread_t()
        let error = pthread_create(
            &thread,
            nil,
            { argument in
                argument.map { Unmanaged<ServiceThread>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            },
            Unmanaged.passRetained(self).toOpaque()
        )
        if error != 0 { throw RktError(.limitExceeded, "cannot start a thread") }
        pthread_detach(thread)
    }

    // MARK: On the thread

    private func run() {
        while true {
            var polled = [pollfd(fd: service.wakeUpDescriptor, events: Int16(POLLIN), revents: 0)]
            serverWatches.appendPolled(to: &polled)
            for connection in connections { connection.watches.appendPolled(to: &polled) }
            poll(&polled, nfds_t(polled.count), -1)
            serverWatches.handle(polled[1...])
            for connection in connections {
                connection.watches.handle(polled[1...])
                dispatch(connection.raw)
            }
            for command in service.takeCommands() {
                if case .stop = command { return close() }
                carryOut(command)
            }
        }
    }

    private func dispatch(_ connection: OpaquePointer) {
        while dbus_connection_dispatch(connection) == DBUS_DISPATCH_DATA_REMAINS {}
        if dbus_connection_get_is_connected(connection) == 0 { forget(connection) }
    }

    private func forget(_ connection: OpaquePointer) {
        for index in held.indices.reversed() where held[index].connection == connection {
            dbus_message_unref(held.remove(at: index).message)
        }
        guard let index = connections.firstIndex(where: { $0.raw == connection }) else { return }
        let gone = connections.remove(at: index)
        dbus_connection_close(gone.raw)
        dbus_connection_unref(gone.raw)
    }

    private func close() {
        for connection in connections.map(\.raw) { forget(connection) }
        guard let server else { return }
        dbus_server_disconnect(server)
        dbus_server_unref(server)
    }

    private func carryOut(_ command: Command) {
        switch command {
        case .emit(let signals):
            for signal in signals { emit(signal) }
        case .answerHeld(let steps):
            let answered = held
            held = []
            for call in answered {
                carryOut(steps, call.connection, call.message)
                dbus_message_unref(call.message)
            }
        case .disconnectAll:
            for connection in connections.map(\.raw) { forget(connection) }
        case .stop:
            break
        }
    }

    private func handle(_ connection: OpaquePointer, _ message: OpaquePointer) -> DBusHandlerResult {
        guard dbus_message_get_type(message) == DBUS_MESSAGE_TYPE_METHOD_CALL,
            let interface = dbus_message_get_interface(message).map({ String(cString: $0) }),
            interface != "org.freedesktop.DBus.Peer",
            let path = dbus_message_get_path(message).map({ String(cString: $0) }),
            let member = dbus_message_get_member(message).map({ String(cString: $0) })
        else { return DBUS_HANDLER_RESULT_NOT_YET_HANDLED }
        let arguments = (try? MessageDecoder.arguments(of: message)) ?? []
        let call = FakeService.Call(path: path, interface: interface, member: member, arguments: arguments)
        carryOut(service.steps(for: call), connection, message)
        return DBUS_HANDLER_RESULT_HANDLED
    }

    private func carryOut(_ steps: [FakeService.Step], _ connection: OpaquePointer, _ message: OpaquePointer) {
        for step in steps {
            switch step {
            case .reply(let values):
                send(dbus_message_new_method_return(message), values, to: [connection])
            case .replyOverLimit:
                sendOverLimit(dbus_message_new_method_return(message), to: connection)
            case .error(let name, let words):
                send(dbus_message_new_error(message, name, words), [], to: [connection])
            case .signal(let signal):
                emit(signal)
            case .hold:
                dbus_message_ref(message)
                held.append((connection, message))
            case .disconnect:
                // Taken out of the list when the dispatch that we are in has ended.
                dbus_connection_flush(connection)
                dbus_connection_close(connection)
            }
        }
    }

    private func sendOverLimit(_ message: OpaquePointer?, to connection: OpaquePointer) {
        guard let message else { return }
        defer { dbus_message_unref(message) }
        let half = DBusValue.bytes([UInt8](repeating: 0, count: WireLimits.messageBytes / 2))
        // The encoder's limit is per call, so two halves and a header make one message over the limit.
        guard (try? MessageEncoder.append([half], to: message)) != nil,
            (try? MessageEncoder.append([half], to: message)) != nil
        else { return }
        dbus_connection_send(connection, message, nil)
    }

    private func emit(_ signal: DBusSignal) {
        let message = dbus_message_new_signal(signal.path, signal.interface, signal.member)
        send(message, signal.arguments, to: connections.map(\.raw))
    }

    private func send(_ message: OpaquePointer?, _ values: [DBusValue], to receivers: [OpaquePointer]) {
        guard let message else { return }
        defer { dbus_message_unref(message) }
        guard (try? MessageEncoder.append(values, to: message)) != nil else { return }
        for receiver in receivers {
            // A message gets its serial when it is sent, so each connection gets a copy.
            guard let copy = dbus_message_copy(message) else { continue }
            if dbus_message_get_reply_serial(message) != 0 {
                dbus_connection_send(receiver, message, nil)
            } else {
                dbus_connection_send(receiver, copy, nil)
            }
            dbus_message_unref(copy)
        }
    }
}
