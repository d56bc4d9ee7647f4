internal import CLinux
internal import Diagnostics
internal import Glibc

/// The socket of somebody who looks after a service, as systemd does (`sd_notify(3)`): datagrams of lines `NAME=VALUE`,
/// with descriptors.
public final class NotifySocket: Sendable {
    /// A message.
    public struct Message: ~Copyable {
        /// The last value of each name.
        public let fields: [String: String]
        private let descriptor: OwnedFD?

        init(fields: [String: String], descriptor: consuming OwnedFD?) {
            self.fields = fields
            self.descriptor = descriptor
        }

        /// The first descriptor that came with it.
        ///
        /// - Returns: The descriptor; nil when there is none.
        public consuming func takeDescriptor() -> OwnedFD? { descriptor }
    }

    /// Readable when a message is there.
    public let descriptor: OwnedFD
    private let path: String

    /// No message of a service is longer.
    private static let limit = 4096

    /// Listens at a path, for root alone, whatever was there before.
    ///
    /// - Parameter path: The socket's path, at most 107 bytes.
    /// - Throws: ``RktError`` when it cannot be made.
    public init(at path: String) throws {
        self.path = path
        descriptor = OwnedFD(taking: try system("listening at \(path)") { rkt_listen_for_datagrams(path) })
    }

    /// Takes a message.
    ///
    /// - Returns: The message; nil when none is there.
    /// - Throws: ``RktError`` when the socket cannot be read.
    public func receive() throws -> Message? {
        var descriptor: CInt = -1
        var bytes: [UInt8] = []
        do {
            bytes = try [UInt8](unsafeUninitializedCapacity: Self.limit) { buffer, initialized in
                guard let start = buffer.baseAddress else { return }
                let socket = self.descriptor.rawValue
                initialized = try system("reading \(path)") {
                    rkt_receive_datagram(socket, start, Self.limit, &descriptor)
                }
            }
        } catch let error as RktError where error.code == .busy {
            return nil
        }
        var fields: [String: String] = [:]
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts.count == 2 { fields[String(parts[0])] = String(parts[1]) }
        }
        return Message(fields: fields, descriptor: descriptor < 0 ? nil : OwnedFD(taking: descriptor))
    }

    /// Sends a message to such a socket.
    ///
    /// - Parameters:
    ///   - message: The lines.
    ///   - path: The socket; a leading `@` stands for the abstract name space.
    ///   - descriptor: A descriptor that goes with it; -1 for none.
    /// - Throws: ``RktError``: `notFound` where there is no such socket, `unavailable` where nobody listens any more.
    public static func send(_ message: String, to path: String, with descriptor: CInt = -1) throws {
        let bytes = Array(message.utf8)
        try system("sending to \(path)") { rkt_send_datagram(path, bytes, bytes.count, descriptor) }
    }

    /// Tells whoever looks after this process, where somebody does (`NOTIFY_SOCKET`).
    ///
    /// - Parameter message: The lines.
    public static func tellOwn(_ message: String) {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), !path.isEmpty else { return }
        try? send(message, to: path)
    }
}
