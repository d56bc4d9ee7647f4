internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// A Varlink service that answers one connection as it is told to.
final class FakeVarlink: Sendable {
    enum Answer: Sendable {
        /// A whole message.
        case send(String)
        /// A message in several writes.
        case pieces([String])
        /// The end of the connection.
        case hangUp
        /// Nothing, until the other side hangs up.
        case silence
    }

    /// What the thread that serves leaves behind. It has one from the beginning: a task would wait for its turn behind
    /// all other tests, beyond any client's deadline.
    private let served: AsyncStream<Result<[String], any Error>>

    init(_ path: String, _ answers: [Answer]) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let listener = try system("making a socket") {
            socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        }
        try system("binding \(path)") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        }
        try system("listening on \(path)") { listen(listener, 1) }
        let (stream, end) = AsyncStream.makeStream(of: Result<[String], any Error>.self)
        served = stream
        try Work {
            let result = Result {
                let owned = OwnedFD(taking: listener)
                let connection = OwnedFD(taking: try system("accepting") { accept(owned.rawValue, nil, nil) })
                return try Self.serve(connection, answers)
            }
            end.yield(result)
            end.finish()
        }
        .start()
    }

    /// The calls that were made, once the connection has ended; to be asked for once.
    func calls() async throws -> [String] {
        for await result in served { return try result.get() }
        throw RktError(.cancelled, "the service's calls were not waited for")
    }

    /// Something to do on a thread.
    private final class Work: Sendable {
        private let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }

        func start() throws {
            let retained = Unmanaged.passRetained(self)
            var thread = pthread_t()
            let problem = pthread_create(
                &thread,
                nil,
                { raw in
                    guard let raw else { return nil }
                    Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body()
                    return nil
                },
                retained.toOpaque()
            )
            guard problem == 0 else { throw RktError(errno: problem, "starting a thread") }
            pthread_detach(thread)
        }
    }

    private static func serve(_ connection: borrowing OwnedFD, _ answers: [Answer]) throws -> [String] {
        var calls: [String] = []
        for answer in answers {
            guard let call = try receive(connection) else { return calls }
            calls.append(call)
            switch answer {
            case .send(let text): send(text + "\0", to: connection)
            case .pieces(let pieces): for piece in pieces + ["\0"] { send(piece, to: connection) }
            case .hangUp: return calls
            case .silence: _ = try receive(connection)
            }
        }
        return calls
    }

    /// Sends text to a client that may have had enough and hung up, by its deadline or by its limit.
    private static func send(_ text: String, to connection: borrowing OwnedFD) {
        let bytes = Array(text.utf8)
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes {
                // No SIGPIPE: it would end all tests.
                Glibc.send(connection.rawValue, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL))
            }
            if count < 0 { return }
            sent += count
        }
    }

    private static func receive(_ connection: borrowing OwnedFD) throws -> String? {
        var bytes: [UInt8] = []
        var byte: UInt8 = 0
        let raw = connection.rawValue
        while try system("reading a call", { read(raw, &byte, 1) }) == 1 {
            if byte == 0 { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }
}
