public import DBusBridge
internal import CDBus
internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Synchronization

/// A D-Bus service on a thread of its own that answers as a test tells it to: as a name on a bus or, without a bus, on
/// a socket. Records the calls it gets.
public final class FakeService: Sendable {
    /// A call that arrived.
    public struct Call: Sendable {
        /// The object.
        public let path: String
        /// The interface.
        public let interface: String
        /// The method.
        public let member: String
        /// The arguments.
        public let arguments: [DBusValue]
    }

    /// What the service does about a call, in order.
    public enum Step: Sendable {
        /// Answers.
        case reply([DBusValue])
        /// Answers with an error.
        case error(String, String)
        /// Answers with more bytes than this project accepts in a message.
        case replyOverLimit
        /// Sends a signal to every connection.
        case signal(DBusSignal)
        /// Keeps the call, to be answered by ``FakeService/answerHeld(_:)``.
        case hold
        /// Closes the connection the call came by.
        case disconnect
    }

    /// Decides what to do about a call.
    public typealias Handler = @Sendable (Call) -> [Step]

    private struct State {
        var calls: [Call] = []
        var commands: [ServiceThread.Command] = []
        /// Waits for a number of calls.
        var waiters: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = Mutex(State())
    private let wakeUp: EventFD
    private let handler: Handler

    /// Starts a service that listens itself.
    ///
    /// - Parameters:
    ///   - socketPath: Where to listen.
    ///   - handler: Decides what to do about each call but those that libdbus answers itself.
    /// - Returns: The service, listening.
    /// - Throws: `RktError` when it cannot listen there.
    public static func listening(at socketPath: String, handler: @escaping Handler) throws -> FakeService {
        let service = try FakeService(handler: handler)
        try service.start { try $0.listen(at: socketPath) }
        return service
    }

    /// Starts a service on a bus.
    ///
    /// - Parameters:
    ///   - address: The bus.
    ///   - name: The name to own.
    ///   - handler: Decides what to do about each call but those that libdbus answers itself.
    /// - Returns: The service, owning its name.
    /// - Throws: `RktError` when there is no such bus, or it does not give the name.
    public static func onBus(_ address: String, name: String, handler: @escaping Handler) throws -> FakeService {
        let service = try FakeService(handler: handler)
        try service.start { try $0.connect(to: address, name: name) }
        return service
    }

    private init(handler: @escaping Handler) throws {
        wakeUp = try EventFD()
        self.handler = handler
    }

    private func start(_ open: (ServiceThread) throws -> Void) throws {
        let thread = ServiceThread(service: self)
        try open(thread)
        try thread.start()
    }

    // MARK: For tests

    /// The calls so far.
    public var calls: [Call] { state.withLock { $0.calls } }

    /// Waits until that many calls have arrived since the start.
    ///
    /// - Parameter count: The number of calls.
    public func waitForCalls(_ count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.calls.count >= count { return true }
                state.waiters.append((count, continuation))
                return false
            }
            if isThere { continuation.resume() }
        }
    }

    /// Sends a signal to every connection.
    ///
    /// - Parameter signal: The signal; its sender is ignored.
    public func emit(_ signal: DBusSignal) { post(.emit([signal])) }

    /// Sends signals to every connection.
    ///
    /// - Parameter signals: The signals, in order.
    public func emit(_ signals: [DBusSignal]) { post(.emit(signals)) }

    /// Answers the calls that were held.
    ///
    /// - Parameter steps: What to do about each.
    public func answerHeld(_ steps: [Step]) { post(.answerHeld(steps)) }

    /// Closes every connection.
    public func disconnectAll() { post(.disconnectAll) }

    /// Ends the service.
    public func stop() { post(.stop) }

    // MARK: For the thread

    private func post(_ command: ServiceThread.Command) {
        state.withLock { $0.commands.append(command) }
        wakeUp.signal()
    }

    var wakeUpDescriptor: CInt { wakeUp.descriptor.rawValue }

    func takeCommands() -> [ServiceThread.Command] {
        wakeUp.clear()
        return state.withLock { state in
            defer { state.commands = [] }
            return state.commands
        }
    }

    func steps(for call: Call) -> [Step] {
        let ready = state.withLock { state in
            state.calls.append(call)
            let ready = state.waiters.filter { $0.count <= state.calls.count }
            state.waiters.removeAll { $0.count <= state.calls.count }
            return ready
        }
        defer { ready.forEach { $0.continuation.resume() } }
        return handler(call)
    }
}
