import CMusl

/// Messages to systemd (sd_notify(3)).
enum Notify {
    /// Tells systemd, and returns when it has taken notice.
    ///
    /// - Parameters:
    ///   - message: What to tell.
    ///   - descriptor: What goes with it.
    static func send(_ message: Text, with descriptor: Int32? = nil) {
        let fd = connect()
        send(message, with: descriptor, to: fd)
        if !waitUntilRead(fd) { barrier(fd) }
        _ = close(fd)
    }

    /// A socket to the one on which systemd listens to this service.
    static func connect() -> Int32 {
        guard let address = getenv("NOTIFY_SOCKET") else { refuse(Text("not started by systemd: no NOTIFY_SOCKET")) }
        let fd = check(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), Text("opening systemd's socket"))
        var destination = unix_address()
        let length = fill(&destination, address)
        check(CMusl.connect(fd, &destination, length), Text("reaching systemd"))
        return fd
    }

    /// Waits until systemd reads one more message, and therefore has dealt with everything sent before.
    ///
    /// systemd's own barrier is a descriptor that it closes, and for each it starts a process to do so, which takes
    /// longer than all the rest of a hand-over. Here the kernel tells: a socket whose buffer one message fills can be
    /// written to again once that has been read.
    ///
    /// - Parameter fd: The socket.
    /// - Returns: Whether it was read; false where this kernel does not tell.
    private static func waitUntilRead(_ fd: Int32) -> Bool {
        guard shrink_sending(fd) == 0 else { return false }
        // A name that systemd passes over; more than a quarter of the smallest buffer there is, up to which the kernel
        // takes a socket for one that can be written to.
        var filler = Text("X_RKT_READ=")
        for _ in 0..<1500 { filler.append(byte: 46) }
        send(filler, with: nil, to: fd)
        var end = [pollfd(fd: fd, events: Int16(POLLOUT), revents: 0)]
        while poll(&end, 1, -1) < 0, __errno_location().pointee == EINTR {}
        return unread_bytes(fd) == 0
    }

    /// Waits until systemd has read everything sent before, by its own barrier: it closes the descriptor that comes
    /// with the message.
    private static func barrier(_ fd: Int32) {
        let ends = makePipe()
        send(Text("BARRIER=1"), with: ends.writer, to: fd)
        _ = close(ends.writer)
        var end = [pollfd(fd: ends.reader, events: 0, revents: 0)]
        while poll(&end, 1, -1) < 0, __errno_location().pointee == EINTR {}
        _ = close(ends.reader)
    }

    private static func send(_ text: Text, with descriptor: Int32?, to fd: Int32) {
        let sent = text.withCString { bytes in
            var piece = memory_piece(base: UnsafeMutableRawPointer(mutating: bytes), length: text.count)
            // One control message: its length, SOL_SOCKET, SCM_RIGHTS, the descriptor, padded to eight bytes.
            var control: (UInt, Int32, Int32, Int32, Int32) = (20, 1, 1, descriptor ?? -1, 0)
            return withUnsafeMutablePointer(to: &piece) { piece in
                withUnsafeMutablePointer(to: &control) { control in
                    var message = socket_message(
                        name: nil,
                        name_length: 0,
                        pieces: piece,
                        piece_count: 1,
                        control: descriptor == nil ? nil : UnsafeMutableRawPointer(control),
                        control_length: descriptor == nil ? 0 : 24,
                        flags: 0
                    )
                    return send_message(fd, &message, MSG_NOSIGNAL)
                }
            }
        }
        if sent < 0 { fail(Text("telling systemd")) }
    }
}

/// Fills in a unix socket's address; `@` stands for the abstract name space's leading NUL.
func fill(_ address: inout unix_address, _ path: UnsafePointer<CChar>) -> UInt32 {
    address.family = UInt16(AF_UNIX)
    return withUnsafeMutablePointer(to: &address.path) {
        $0.withMemoryRebound(to: CChar.self, capacity: 108) { target in
            var length = 0
            while path[length] != 0, length < 107 {
                target[length] = length == 0 && path[0] == 64 ? 0 : path[length]
                length += 1
            }
            let named = path[0] != 64
            target[length] = 0
            return UInt32(2 + length + (named ? 1 : 0))
        }
    }
}
