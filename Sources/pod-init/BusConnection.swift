import CMusl

/// A connection to systemd's own socket or to the system bus.
///
/// This is D-Bus by hand, because it is on the way of every pod's start and of every app's end, where loading a library
/// takes longer than all the rest: a few fixed calls. The bus lets only those answer who were asked, but anybody may
/// send a signal, or a message that is not understood here and is passed over.
final class BusConnection {
    private let fd: Int32
    private var serial: UInt32 = 0
    private var received: [UInt8] = []
    /// How much of what comes belongs to a message that is passed over.
    private var skipped = 0
    /// Whether something came that is not D-Bus: nothing behind it can be understood.
    private var isBroken = false
    /// A descriptor that ends every wait when it becomes readable, and what is done then.
    private let interruption: Interruption?

    typealias Interruption = (fd: Int32, handler: () -> Void)

    private init(fd: Int32, _ interruption: Interruption?) {
        self.fd = fd
        self.interruption = interruption
    }

    deinit {
        _ = close(fd)
    }

    /// systemd's own socket. systemd tells of every job and unit there, wanted or not.
    static func systemd(_ interruption: Interruption? = nil) -> BusConnection? {
        open("/run/systemd/private", interruption)
    }

    /// The system bus, on which this connection has a name then; nil also when it takes no more connections.
    ///
    /// - Parameters:
    ///   - interruption: What ends every wait.
    ///   - patience: How long the bus may take, in milliseconds.
    /// - Returns: The connection.
    static func systemBus(_ interruption: Interruption? = nil, patience: Int32 = 25_000) -> BusConnection? {
        guard let connection = open("/run/dbus/system_bus_socket", interruption) else { return nil }
        let hello = connection.send(.bus("Hello"))
        guard let answer = connection.answer(to: hello, patience: patience), !answer.isError else { return nil }
        return connection
    }

    private static func open(_ path: StaticString, _ interruption: Interruption?) -> BusConnection? {
        let fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        guard fd >= 0 else { return nil }
        let connection = BusConnection(fd: fd, interruption)
        // Whoever listens may have stopped: a connection to a full queue would wait for ever.
        _ = limit_sending(fd, 25)
        var address = unix_address()
        let length = Text(path).withCString { fill(&address, $0) }
        guard connect(fd, &address, length) == 0 else { return nil }
        // Uid 0 in hex digits. The first call may not travel with BEGIN: systemd would not see it.
        let hello: StaticString = "\0AUTH EXTERNAL 30\r\nBEGIN\r\n"
        let sent = hello.withUTF8Buffer { send_bytes(fd, $0.baseAddress, $0.count, MSG_NOSIGNAL) }
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
        let count = patience < 0 ? poll_released(&polled, 2) : poll(&polled, 2, patience)
        if count < 0, __errno_location().pointee != EINTR { return nil }
        if count == 0 { return false }
        if polled[1].revents != 0 { interruption?.handler() }
        guard polled[0].revents != 0 else { return true }
        return readMore(fd, to: &received) > 0 ? true : nil
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
        while true {
            let passed = min(skipped, received.count)
            received.removeFirst(passed)
            skipped -= passed
            guard skipped == 0, received.count >= 16 else { return nil }
            let isForeign = received[0] == 66
            let body = length(at: 4, bigEndian: isForeign)
            let fields = length(at: 12, bigEndian: isForeign)
            guard isForeign || received[0] == 108, fields <= 1 << 26, body <= 1 << 27 else {
                isBroken = true
                return nil
            }
            let start = 16 + (fields + 7) & ~7
            if isForeign || fields > 1 << 16 || body > 1 << 20 {
                skipped = start + body
                continue
            }
            guard received.count >= start + body else { return nil }
            defer { received.removeFirst(start + body) }
            return BusMessage(
                kind: received[1],
                fields: Array(received[..<(16 + fields)]),
                body: Array(received[start..<(start + body)])
            )
        }
    }

    private func length(at offset: Int, bigEndian: Bool) -> Int {
        var value = 0
        for index in 0..<4 { value |= Int(received[offset + index]) << (8 * (bigEndian ? 3 - index : index)) }
        return value
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
    /// Who sent it, by the bus's word; empty without a bus.
    private(set) var sender = Text("")
    private var path = Text("")
    private var interface = Text("")
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
                switch code {
                case 1: path = Text(text)
                case 2: interface = Text(text)
                case 3: member = Text(text)
                case 4: errorName = Text(text)
                case 7: sender = Text(text)
                default: break
                }
            default:
                return
            }
        }
    }

    var isError: Bool { kind == 3 }

    /// Whether it is a signal of a unit's object that tells what has changed.
    func isChange(of unit: Text) -> Bool { kind == 4 && path.equals(unit) && member.equals("PropertiesChanged") }

    /// Whether it is a signal of systemd's manager. The sender is to be looked at, too.
    func isManagerSignal(_ name: StaticString) -> Bool {
        kind == 4 && member.equals(name) && path.equals("/org/freedesktop/systemd1")
            && interface.equals("org.freedesktop.systemd1.Manager")
    }

    /// Why a call failed, in words.
    var reason: Text {
        var reader = BusReader(body)
        guard let words = reader.string() else { return errorName }
        return Text(words)
    }

    func isError(_ name: StaticString) -> Bool { isError && errorName.equals(name) }
}
