import CLinux
import Diagnostics
import Glibc
import LinuxOS
import Synchronization

/// A server on loopback that answers as a test says, each request on a connection of its own.
final class TestServer: Sendable {
    struct Request: Sendable {
        let method: String
        let path: String
        /// The names in lower case.
        let headers: [String: String]
        var body = ""
    }

    struct Answer: Sendable {
        var status = 200
        var headers: [(String, String)] = []
        var body: [UInt8] = []
        /// How much of the body is sent before the connection breaks; nil for all of it.
        var sent: Int?
        /// Whether the head says how long the body is.
        var hasLength = true
        /// Whether the body comes again and again.
        var isEndless = false
        /// Whether nothing comes behind what is sent, and the connection stays.
        var isStalled = false
        /// Whether the rest of the body comes byte by byte, a hundred in a second.
        var isTrickling = false
    }

    let port: UInt16
    private let socket: SharedFD
    private let seen = Mutex<[Request]>([])

    /// What was asked for, in order.
    var requests: [Request] { seen.withLock { $0 } }
    var host: String { "127.0.0.1:\(port)" }

    init(_ answer: @escaping @Sendable (Request, _ number: Int) -> Answer) throws {
        let listener = OwnedFD(
            taking: try system("making a socket") { Glibc.socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0) }
        )
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let raw = listener.rawValue
        port = try withUnsafeMutablePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                try system("binding") { bind(raw, address, length) }
                try system("listening") { listen(raw, 64) }
                try system("asking for the port") { getsockname(raw, address, &length) }
            }
            return UInt16(bigEndian: pointer.pointee.sin_port)
        }
        let shared = SharedFD(listener)
        socket = shared
        // The thread has the descriptor as long as it waits there.
        try OwnThread.start { [weak self] in
            defer { withExtendedLifetime(shared) {} }
            while true {
                let connection = accept(raw, nil, nil)
                guard connection >= 0, let self else { return }
                self.serve(OwnedFD(taking: connection), answer)
            }
        }
    }

    deinit {
        shutdown(socket.descriptor.rawValue, CInt(SHUT_RDWR))
    }

    private func serve(_ connection: consuming OwnedFD, _ answer: (Request, Int) -> Answer) {
        var bytes: [UInt8] = []
        let end = Array("\r\n\r\n".utf8)
        var buffer = [UInt8](repeating: 0, count: 4096)
        var head = 0
        while bytes.count < 1 << 16 {
            if let found = bytes.firstRange(of: end) {
                head = found.upperBound
                break
            }
            let count = read(connection.rawValue, &buffer, buffer.count)
            guard count > 0 else { return }
            bytes += buffer[..<count]
            // It begins to speak TLS.
            if bytes[0] == 0x16 { return }
        }
        let lines = String(decoding: bytes[..<head], as: UTF8.self).split(separator: "\r\n").map(String.init)
        let words = lines[0].split(separator: " ").map(String.init)
        let pairs = lines.dropFirst().compactMap { line -> (String, String)? in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            return (line[..<colon].lowercased(), String(line[line.index(after: colon)...].drop { $0 == " " }))
        }
        let headers = Dictionary(pairs) { first, _ in first }
        let length = head + (headers["content-length"].flatMap { Int($0) } ?? 0)
        while bytes.count < length {
            let count = read(connection.rawValue, &buffer, buffer.count)
            guard count > 0 else { return }
            bytes += buffer[..<count]
        }
        let request = Request(
            method: words[0],
            path: words[1],
            headers: headers,
            body: String(decoding: bytes[head...], as: UTF8.self)
        )
        let number = seen.withLock { list in
            list.append(request)
            return list.count
        }
        let answer = answer(request, number)
        var start = "HTTP/1.1 \(answer.status) Status\r\nConnection: close\r\n"
        if answer.hasLength, !answer.isEndless { start += "Content-Length: \(answer.body.count)\r\n" }
        for (name, value) in answer.headers { start += "\(name): \(value)\r\n" }
        let whole =
            Array("\(start)\r\n".utf8) + (request.method == "HEAD" ? [] : answer.body.prefix(answer.sent ?? .max))
        var isRead = Self.send(whole, connection.rawValue)
        while isRead, answer.isEndless { isRead = Self.send(answer.body, connection.rawValue) }
        guard answer.isStalled || answer.isTrickling else { return }
        // Until the other side has enough; others are served meanwhile.
        let kept = SharedFD(connection)
        try? OwnThread.start {
            let connection = kept.descriptor.rawValue
            if answer.isTrickling {
                var left = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
                for byte in answer.body.dropFirst(answer.sent ?? .max) {
                    guard poll(&left, 1, 10) == 0, Self.send([byte], connection) else { return }
                }
            }
            var byte: UInt8 = 0
            while read(kept.descriptor.rawValue, &byte, 1) > 0 {}
        }
    }

    /// Sends all; says whether the other side takes it.
    private static func send(_ bytes: [UInt8], _ connection: CInt) -> Bool {
        bytes.withUnsafeBytes { piece in
            var sent = 0
            while sent < piece.count {
                let start = piece.baseAddress.map { $0 + sent }
                let count = Glibc.send(connection, start, piece.count - sent, CInt(MSG_NOSIGNAL))
                guard count > 0 else { return false }
                sent += count
            }
            return true
        }
    }
}
