internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
internal import LinuxOS

/// A connection to a Varlink service on a unix socket: JSON messages, each ended by a NUL byte, one call at a time.
///
/// Blocks the thread it is used on.
struct VarlinkConnection: ~Copyable {
    // Far more than the answers of the services asked here.
    private static let replyLimit = 64 << 10

    private let socket: OwnedFD
    private let path: String
    private let deadline: ContinuousClock.Instant
    private let interruption: Interruption

    /// Connects.
    ///
    /// - Parameters:
    ///   - path: The socket.
    ///   - deadline: When to give up, for this and all calls.
    ///   - interruption: Ends waits early.
    /// - Throws: ``NobodyListens``; ``RktError`` with `permissionDenied`, `timeout` and others.
    init(to path: String, until deadline: ContinuousClock.Instant, _ interruption: Interruption) throws {
        let socket = OwnedFD(
            taking: try system("making a socket") {
                Glibc.socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
            }
        )
        do {
            try Self.connect(socket.rawValue, path, until: deadline)
        } catch let error as RktError where error.code == .notFound || error.errno == ECONNREFUSED {
            throw NobodyListens()
        }
        self.socket = socket
        self.path = path
        self.deadline = deadline
        self.interruption = interruption
    }

    /// There is no socket, or no process behind it.
    struct NobodyListens: Error {}

    private static func connect(_ raw: CInt, _ path: String, until deadline: ContinuousClock.Instant) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path) - 1
        guard bytes.count <= room else {
            throw RktError(.invalidArgument, "the path of socket \(path) is longer than \(room) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        // A full queue cannot be waited for by polling: only a connect that blocks waits for it.
        let left = max(deadline - .now, .milliseconds(1))
        var limit = timeval()
        limit.tv_sec = time_t(left.components.seconds)
        limit.tv_usec = suseconds_t(left.components.attoseconds / 1_000_000_000_000)
        try system("connecting to \(path)") {
            setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }
        do {
            try system("connecting to \(path)") {
                withUnsafePointer(to: &address) { pointer in
                    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                    }
                }
            }
        } catch let error as RktError where error.errno == EAGAIN {
            throw RktError(.timeout, "connecting to \(path): no answer in time", cause: error)
        }
        try system("connecting to \(path)") { fcntl(raw, F_SETFL, O_NONBLOCK) }
    }

    /// Calls a method and waits for its answer.
    ///
    /// - Parameters:
    ///   - method: The method's full name.
    ///   - parameters: Its parameters, a JSON object.
    /// - Throws: ``VarlinkFailure`` when the service answers with an error; ``RktError`` with `timeout`, with
    ///   `unavailable` when the service hangs up, with `invalidData` for an answer that is none.
    borrowing func call(_ method: String, parameters: String) throws {
        try send(Array(#"{"method":"\#(method)","parameters":\#(parameters)}"#.utf8) + [0], method)
        let answer = try receive(method)
        let reply: Reply
        do {
            reply = try JSONDecoder().decode(Reply.self, from: Data(answer))
        } catch {
            throw RktError(.invalidData, "the answer to \(method) on \(path) is malformed", cause: error)
        }
        if let error = reply.error { throw VarlinkFailure(name: error, method: method) }
    }

    private struct Reply: Decodable {
        let error: String?
    }

    private borrowing func send(_ message: [UInt8], _ method: String) throws {
        let raw = socket.rawValue
        var sent = 0
        while sent < message.count {
            do {
                // No SIGPIPE when the service has hung up.
                sent += try system("calling \(method) on \(path)") {
                    message[sent...].withUnsafeBytes { Glibc.send(raw, $0.baseAddress, $0.count, CInt(MSG_NOSIGNAL)) }
                }
            } catch let error as RktError where error.errno == EAGAIN {
                try wait(POLLOUT, method)
            }
        }
    }

    private borrowing func receive(_ method: String) throws -> [UInt8] {
        let raw = socket.rawValue
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count: Int
            do {
                count = try system("calling \(method) on \(path)") { read(raw, &buffer, buffer.count) }
            } catch let error as RktError where error.errno == EAGAIN {
                try wait(POLLIN, method)
                continue
            }
            guard count > 0 else {
                throw RktError(.unavailable, "\(path) hung up before it answered \(method)")
            }
            // One call, one answer: nothing can follow it.
            if let end = buffer[..<count].firstIndex(of: 0) { return answer + buffer[..<end] }
            answer += buffer[..<count]
            guard answer.count <= Self.replyLimit else {
                throw RktError(.limitExceeded, "the answer to \(method) on \(path) is over \(Self.replyLimit) bytes")
            }
        }
    }

    private borrowing func wait(_ events: CInt, _ method: String) throws {
        guard try interruption.wait(for: socket.rawValue, events, until: deadline) else {
            throw RktError(.timeout, "\(path) did not answer \(method) in time")
        }
    }
}

/// A Varlink service's answer that it could not do what was asked.
struct VarlinkFailure: Error, CustomStringConvertible {
    /// The error's full name.
    let name: String
    /// The method that was called.
    let method: String

    /// Whether the service does not know, or does not take, a parameter.
    var isInvalidParameter: Bool { name == "org.varlink.service.InvalidParameter" }

    var description: String { "\(method) failed with \(name)" }
}
