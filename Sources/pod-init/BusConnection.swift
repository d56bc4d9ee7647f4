import CMusl

/// A connection to systemd's own socket or to the system bus.
///
/// This is D-Bus by hand, because it is on the way of every pod's start and of every app's end, where loading a library
/// takes longer than all the rest: a few fixed calls, and nothing comes from anyone but systemd, machined and the bus.
final class BusConnection {
    private let fd: Int32
    private var serial: UInt32 = 0
    private var received: [UInt8] = []
    /// Whether something came that is not D-Bus as it is spoken here: nothing behind it can be understood.
    private var isBroken = false
    /// A descriptor that ends every wait when it becomes readable, and what is done then.
    var interruption: (fd: Int32, handler: () -> Void)?

    private init(fd: Int32) {
        self.fd = fd
    }

    deinit {
        _ = close(fd)
    }

    /// systemd's own socket. systemd tells of every job and unit there, wanted or not.
    static func systemd() -> BusConnection? { open("/run/systemd/private") }

    /// The system bus, on which this connection has a name then; nil also when it takes no more connections.
    static func systemBus() -> BusConnection? {
        guard let connection = open("/run/dbus/system_bus_socket") else { return nil }
        let hello = connection.send(.bus("Hello"))
        guard let answer = connection.answer(to: hello, patience: 25_000), !answer.isError else { return nil }
        return connection
    }

    private static func open(_ path: StaticString) -> BusConnection? {
        let fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        guard fd >= 0 else { return nil }
        let connection = BusConnection(fd: fd)
        var address = unix_address()
        let length = Text(path).withCString { fill(&address, $0) }
        guard connect(fd, &address, length) == 0 else { return nil }
        // Uid 0 in hex digits. The first call may not travel with BEGIN: systemd would not see it.
        let hello: StaticString = "\0AUTH EXTERNAL 30\r\nBEGIN\r\n"
        let sent = hello.withUTF8Buffer { write(fd, $0.baseAddress, $0.count) }
        guard sent == hello.utf8CodeUnitCount, let line = connection.readLine(), line.count > 2, line[0] == 79,
            line[1] == 75
        else { return nil }
        return connection
    }

    // MARK: Sending

    /// Sends a call.
    ///
    /// - Returns: The number that its answer will refer to. When the connection has ended, reading says so.
    @discardableResult
    func send(_ call: BusCall) -> UInt32 {
        serial += 1
        let message = call.message(serial: serial)
        var written = 0
        while written < message.count {
            let count = message.withUnsafeBufferPointer { buffer in
                send_bytes(fd, buffer.baseAddress.map { $0 + written }, buffer.count - written, MSG_NOSIGNAL)
            }
            if count < 0 {
                if __errno_location().pointee == EINTR { continue }
                break
            }
            written += count
        }
        return serial
    }

    // MARK: Receiving

    enum Event {
        case message(BusMessage)
        case late
        case closed
    }

    /// The next message.
    ///
    /// - Parameter patience: How long to wait for it, in milliseconds.
    /// - Returns: The message, or why there is none.
    func next(patience: Int32) -> Event {
        while true {
            if let message = takeMessage() { return .message(message) }
            switch receive(patience: patience) {
            case .some(true): continue
            case .some(false): return .late
            case .none: return .closed
            }
        }
    }

    /// The answer to a call; what comes before it is passed over.
    func answer(to serial: UInt32, patience: Int32) -> BusMessage? {
        while case .message(let message) = next(patience: patience) {
            if message.answers == serial { return message }
        }
        return nil
    }

    /// Waits for bytes and takes them.
    ///
    /// - Returns: Whether there are more now; nil when there will be no more.
    private func receive(patience: Int32) -> Bool? {
        if isBroken { return nil }
        var polled = [
            pollfd(fd: fd, events: Int16(POLLIN), revents: 0),
            pollfd(fd: interruption?.fd ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        let count = poll(&polled, 2, patience)
        if count < 0, __errno_location().pointee != EINTR { return nil }
        if count == 0 { return false }
        if polled[1].revents != 0 { interruption?.handler() }
        guard polled[0].revents != 0 else { return true }
        var got = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, initialized in
            got = read(fd, buffer.baseAddress, 4096)
            initialized = max(got, 0)
        }
        guard got > 0 else { return nil }
        received += chunk
        return true
    }

    private func readLine() -> [UInt8]? {
        while true {
            if let end = received.firstIndex(of: 10) {
                let line = Array(received[..<end])
                received.removeFirst(end + 1)
                return line
            }
            guard received.count < 1024, receive(patience: 25_000) == true else { return nil }
        }
    }

    /// The first message in the bytes received, if it is whole.
    private func takeMessage() -> BusMessage? {
        guard received.count >= 16 else { return nil }
        var head = BusReader(received, at: 4)
        guard let body = head.number(), head.number() != nil, let fields = head.number(), received[0] == 108,
            body < 1 << 20, fields < 1 << 16
        else {
            isBroken = true
            return nil
        }
        let start = 16 + (Int(fields) + 7) & ~7
        guard received.count >= start + Int(body) else { return nil }
        defer { received.removeFirst(start + Int(body)) }
        return BusMessage(
            kind: received[1],
            fields: Array(received[..<(16 + Int(fields))]),
            body: Array(received[start..<(start + Int(body))])
        )
    }
}

/// A method call.
struct BusCall {
    let destination: StaticString
    let path: Text
    let interface: StaticString
    let member: StaticString
    var signature: StaticString = ""
    var body = BusWriter()

    static let noReply: UInt8 = 1
    var flags: UInt8 = 0

    /// A call of the bus itself.
    static func bus(_ member: StaticString) -> BusCall {
        BusCall(
            destination: "org.freedesktop.DBus",
            path: Text("/org/freedesktop/DBus"),
            interface: "org.freedesktop.DBus",
            member: member
        )
    }

    /// A call of systemd's manager.
    static func manager(_ member: StaticString) -> BusCall {
        BusCall(
            destination: "org.freedesktop.systemd1",
            path: Text("/org/freedesktop/systemd1"),
            interface: "org.freedesktop.systemd1.Manager",
            member: member
        )
    }

    /// A question for a property of a unit or job.
    static func property(_ path: Text, _ interface: StaticString, _ name: StaticString) -> BusCall {
        var call = BusCall(
            destination: "org.freedesktop.systemd1",
            path: path,
            interface: "org.freedesktop.DBus.Properties",
            member: "Get"
        )
        call.add(Text(interface))
        call.add(Text(name))
        return call.with(signature: "ss")
    }

    mutating func add(_ text: Text) {
        body.string(text)
    }

    func with(signature: StaticString) -> BusCall {
        var call = self
        call.signature = signature
        return call
    }

    func message(serial: UInt32) -> [UInt8] {
        var message = BusWriter()
        message.raw([108, 1, flags, 1])  // little endian, method call, flags, protocol 1
        message.number(UInt32(body.bytes.count))
        message.number(serial)
        var fields = BusWriter()
        fields.field(1, 111, path)
        fields.field(2, 115, Text(interface))
        fields.field(3, 115, Text(member))
        fields.field(6, 115, Text(destination))
        if signature.utf8CodeUnitCount > 0 { fields.signature(signature) }
        message.array(fields.bytes)
        message.align(8)
        message.raw(body.bytes)
        return message.bytes
    }
}

/// A message received.
struct BusMessage {
    private let kind: UInt8
    /// The serial of the call that this is the answer to.
    private(set) var answers: UInt32?
    private var member = Text("")
    private var errorName = Text("")
    let body: [UInt8]

    init(kind: UInt8, fields: [UInt8], body: [UInt8]) {
        self.kind = kind
        self.body = body
        var reader = BusReader(fields, at: 16)
        while !reader.isAtEnd {
            reader.align(8)
            guard let code = reader.byte(), let type = reader.signature(), let first = type.first else { return }
            switch first {
            case 117:
                let number = reader.number()
                if code == 5 { answers = number }
            case 103:
                _ = reader.signature()
            case 115, 111:
                guard let text = reader.string() else { return }
                if code == 3 { member = Text(text) }
                if code == 4 { errorName = Text(text) }
            default:
                return
            }
        }
    }

    var isError: Bool { kind == 3 }

    func isSignal(_ name: StaticString) -> Bool { kind == 4 && member.equals(name) }

    /// Why a call failed, in words.
    var reason: Text {
        var reader = BusReader(body)
        guard let words = reader.string() else { return errorName }
        return Text(words)
    }

    func isError(_ name: StaticString) -> Bool { isError && errorName.equals(name) }
}
