internal import CLinux
internal import Diagnostics

/// The connections to a unix stream socket, as the kernel lists them (`sock_diag(7)`).
public struct UnixStreams: Sendable {
    /// Whether the socket itself was seen: it is not from another network namespace, nor when nobody has made it.
    public let isListening: Bool
    /// How many connections nobody has accepted yet.
    public let waiting: Int
    /// How many accepted ones hold bytes that nobody has read, though their other side has closed.
    public let unread: Int

    /// Looks at the kernel's list.
    ///
    /// - Parameter path: The path the socket was bound to.
    /// - Throws: ``RktError`` when the kernel does not tell.
    public init(path: String) throws {
        var streams = rkt_unread_streams()
        try system("listing unix sockets") { rkt_unix_streams(path, &streams) }
        isListening = streams.is_listening
        waiting = Int(streams.waiting)
        unread = Int(streams.unread)
    }
}
