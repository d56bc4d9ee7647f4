import CMusl

/// What systemd is about to do with a unit whose process has ended: questions on its private socket.
///
/// This is D-Bus by hand, because it is on the way of every app's end: a peer-to-peer connection and a few fixed calls.
enum UnitOutlook {
    /// Whether the unit will be started again: a restart was asked for, or its `Restart=` says so.
    static func willRestart(_ unit: Text, escapedName: Text) -> Bool {
        guard let connection = Connection.open(), let result = getenv("SERVICE_RESULT") else { return false }
        let path = Text("/org/freedesktop/systemd1/unit/") + escapedName
        let asked = connection.properties(
            path,
            ("org.freedesktop.systemd1.Unit", "Job"),
            ("org.freedesktop.systemd1.Service", "Restart")
        )
        guard let job = asked.first.flatMap(jobPath) else {
            return asked.second.flatMap(string).map { restarts(policy: $0, result: result) } ?? false
        }
        let interface: StaticString = "org.freedesktop.systemd1.Job"
        let detail = connection.properties(job, (interface, "JobType"), (interface, "State"))
        guard let type = detail.first.flatMap(string), let state = detail.second.flatMap(string) else { return false }
        // A start that runs is the one that has just failed; one that waits, waits for this end.
        return has(type, "restart") || has(type, "try-restart") || (has(type, "start") && has(state, "waiting"))
    }

    /// The table of systemd.service(5), "Exit causes and the effect of the Restart= settings".
    private static func restarts(policy: ArraySlice<UInt8>, result: UnsafePointer<CChar>) -> Bool {
        let clean = equal(result, "success")
        let signalled = equal(result, "signal") || equal(result, "core-dump")
        let late = equal(result, "timeout") || equal(result, "watchdog")
        if has(policy, "always") { return true }
        if has(policy, "on-success") { return clean }
        if has(policy, "on-failure") { return !clean }
        if has(policy, "on-abnormal") { return signalled || late }
        if has(policy, "on-abort") { return signalled }
        if has(policy, "on-watchdog") { return equal(result, "watchdog") }
        return false
    }

    /// The unit's name as a part of an object path.
    static func escape(_ unit: Text) -> Text {
        var escaped = Text("")
        unit.withCString { name in
            var index = 0
            while name[index] != 0 {
                let byte = UInt8(bitPattern: name[index])
                let isLetter = (byte | 0x20) >= 97 && (byte | 0x20) <= 122
                let isDigit = byte >= 48 && byte <= 57
                if isLetter || (isDigit && index > 0) {
                    escaped.append(byte: byte)
                } else {
                    escaped.append(byte: 95)
                    for nibble in [byte >> 4, byte & 15] { escaped.append(byte: nibble + (nibble < 10 ? 48 : 87)) }
                }
                index += 1
            }
        }
        return escaped
    }

    private static func has(_ value: ArraySlice<UInt8>, _ literal: StaticString) -> Bool {
        literal.withUTF8Buffer { buffer in
            guard buffer.count == value.count else { return false }
            for (index, byte) in value.enumerated() where buffer[index] != byte { return false }
            return true
        }
    }

    /// A variant of type string.
    private static func string(_ body: [UInt8]) -> ArraySlice<UInt8>? {
        guard body.count >= 8, body[0] == 1, body[1] == 115 else { return nil }
        return bytes(body, at: 4)
    }

    /// The job's object path from a variant of type (uo); nil when there is no job.
    private static func jobPath(_ body: [UInt8]) -> Text? {
        guard body.count >= 16, body[0] == 4, number(body, 8) != 0, let path = bytes(body, at: 12) else { return nil }
        var text = Text("")
        for byte in path { text.append(byte: byte) }
        return text
    }

    private static func bytes(_ body: [UInt8], at offset: Int) -> ArraySlice<UInt8>? {
        let length = Int(number(body, offset))
        guard length < 4096, offset + 4 + length <= body.count else { return nil }
        return body[(offset + 4)..<(offset + 4 + length)]
    }

    fileprivate static func number(_ bytes: [UInt8], _ offset: Int) -> UInt32 {
        var value: UInt32 = 0
        for index in 0..<4 { value |= UInt32(bytes[offset + index]) << (8 * UInt32(index)) }
        return value
    }
}

/// A connection to systemd's private socket.
private struct Connection {
    let fd: Int32

    static func open() -> Connection? {
        let fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)
        guard fd >= 0 else { return nil }
        var address = unix_address()
        let length = fill(&address, "/run/systemd/private")
        guard connect(fd, &address, length) == 0 else { return nil }
        // Uid 0 in hex digits. The first call may not travel with BEGIN: systemd would not see it.
        let hello: StaticString = "\0AUTH EXTERNAL 30\r\nBEGIN\r\n"
        let sent = hello.withUTF8Buffer { write(fd, $0.baseAddress, $0.count) }
        let connection = Connection(fd: fd)
        guard sent > 0, let line = connection.readLine(), line.count > 2, line[0] == 79, line[1] == 75 else {
            return nil
        }
        return connection
    }

    private func readable() -> Bool {
        var polled = [pollfd(fd: fd, events: Int16(POLLIN), revents: 0)]
        return poll(&polled, 1, 5_000) == 1
    }

    private func readLine() -> [UInt8]? {
        var line: [UInt8] = []
        while line.count < 256, readable() {
            var byte: UInt8 = 0
            guard read(fd, &byte, 1) == 1 else { return nil }
            if byte == 10 { return line }
            line.append(byte)
        }
        return nil
    }

    private func readExactly(_ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard readable() else { return nil }
            var chunk = [UInt8](repeating: 0, count: count - bytes.count)
            let got = read(fd, &chunk, chunk.count)
            guard got > 0 else { return nil }
            bytes += chunk[0..<got]
        }
        return bytes
    }

    /// Asks for two properties at once.
    ///
    /// - Returns: The bodies of the answers: a variant each; nil for what was refused.
    func properties(
        _ path: Text,
        _ first: (StaticString, StaticString),
        _ second: (StaticString, StaticString)
    ) -> (first: [UInt8]?, second: [UInt8]?) {
        let calls = call(1, path, first) + call(2, path, second)
        guard write(fd, calls, calls.count) == calls.count else { return (nil, nil) }
        let answers = (answer(), answer())
        return answers
    }

    /// A call of Properties.Get.
    private func call(_ serial: UInt32, _ path: Text, _ property: (StaticString, StaticString)) -> [UInt8] {
        var body = Wire()
        body.string(Text("") + property.0)
        body.string(Text("") + property.1)
        var message = Wire()
        message.bytes = [108, 1, 0, 1]  // little endian, method call, no flags, protocol 1
        message.number(UInt32(body.bytes.count))
        message.number(serial)
        var fields = Wire()
        fields.field(1, 111, path)
        fields.field(2, 115, Text("org.freedesktop.DBus.Properties"))
        fields.field(3, 115, Text("Get"))
        fields.align(8)
        fields.bytes += [8, 1, 103, 0, 2, 115, 115, 0]  // signature of the body: ss
        message.number(UInt32(fields.bytes.count))
        message.bytes += fields.bytes
        message.align(8)
        message.bytes += body.bytes
        return message.bytes
    }

    /// The body of the next method return; signals in between are passed over.
    private func answer() -> [UInt8]? {
        while true {
            guard let head = readExactly(16) else { return nil }
            let fields = Int(UnitOutlook.number(head, 12))
            let length = Int(UnitOutlook.number(head, 4))
            guard head[0] == 108, fields < 65_536, length < 1 << 20,
                let rest = readExactly((fields + 7) & ~7 + length)
            else { return nil }
            switch head[1] {
            case 2: return Array(rest[((fields + 7) & ~7)...])
            case 3: return nil  // an error
            default: continue  // a signal
            }
        }
    }
}

/// D-Bus marshalling, little endian.
private struct Wire {
    var bytes: [UInt8] = []

    mutating func align(_ size: Int) {
        while bytes.count % size != 0 { bytes.append(0) }
    }

    mutating func number(_ value: UInt32) {
        align(4)
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    mutating func string(_ text: Text) {
        number(UInt32(text.count))
        text.withCString { for index in 0..<text.count { bytes.append(UInt8(bitPattern: $0[index])) } }
        bytes.append(0)
    }

    /// A header field: its code, and a variant that holds a string or an object path.
    mutating func field(_ code: UInt8, _ type: UInt8, _ text: Text) {
        align(8)
        bytes += [code, 1, type, 0]
        string(text)
    }
}
