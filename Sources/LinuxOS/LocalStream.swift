internal import CLinux
internal import Glibc
internal import Synchronization

/// A stream from one thread of this process to another, read by a descriptor as a file is; what is next in it can be
/// looked at without reading it (`MSG_PEEK`).
public final class LocalStream: Sendable {
    private let reader: Mutex<OwnedFD?>
    private let writer: OwnedFD

    /// Makes one.
    ///
    /// - Parameter capacity: How many bytes nobody has read there may be; a hint.
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public init(capacity: Int) throws {
        var ends: [CInt] = [-1, -1]
        try system("making a stream") {
            socketpair(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0, &ends)
        }
        reader = Mutex(OwnedFD(taking: ends[0]))
        writer = OwnedFD(taking: ends[1])
        var size = CInt(clamping: capacity)
        setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<CInt>.size))
    }

    /// The end to read from, which is the caller's from now on and can be taken once; its end comes with ``finish()``.
    ///
    /// - Returns: The descriptor.
    public func takeReader() -> OwnedFD {
        guard let taken = reader.withLock({ $0.take() }) else {
            preconditionFailure("the stream's reader was taken before")
        }
        return taken
    }

    /// Writes all bytes; waits while there is no room.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - name: What they are, for errors.
    /// - Throws: ``RktError`` when nobody reads any more.
    public func send(_ bytes: UnsafeRawBufferPointer, name: String) throws {
        let descriptor = writer.rawValue
        var sent = 0
        while sent < bytes.count {
            sent += try system("handing on \(name)") {
                Glibc.send(
                    descriptor,
                    bytes.baseAddress.map { $0 + sent },
                    bytes.count - sent,
                    CInt(MSG_NOSIGNAL)
                )
            }
        }
    }

    /// The end that is written to: readable as soon as nobody reads any more, and never before. It is this stream's.
    public var writingEnd: CInt { writer.rawValue }

    /// Waits until nobody reads any more.
    ///
    /// - Parameter milliseconds: How long to wait.
    /// - Returns: Whether that is so.
    public func isAbandoned(within milliseconds: Int) -> Bool {
        var set = pollfd(fd: writer.rawValue, events: CShort(POLLIN), revents: 0)
        return poll(&set, 1, CInt(clamping: milliseconds)) > 0
    }

    /// Ends it from the writing side: nothing more can be sent, as if nobody read any more.
    public func abandon() { shutdown(writer.rawValue, CInt(SHUT_RDWR)) }

    /// Says that nothing more comes.
    public func finish() { shutdown(writer.rawValue, CInt(SHUT_WR)) }
}
