internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// A socket whose other side knows no D-Bus: it says given bytes to the first that connects, or nothing at all.
public final class RawPeer: Sendable {
    private let listener: OwnedFD

    /// Listens.
    ///
    /// - Parameters:
    ///   - socketPath: Where to listen; at most 107 bytes.
    ///   - bytes: What to say to the first that connects, before hanging up; nil to leave everybody waiting.
    /// - Throws: `RktError` when it cannot listen there.
    public init(socketPath: String, saying bytes: [UInt8]?) throws {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = OwnedFD(taking: try system("making a socket") { socket(AF_UNIX, kind, 0) })
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        guard socketPath.utf8.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw RktError(.invalidArgument, "\(socketPath) is too long for a socket")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
        let raw = descriptor.rawValue
        let size = socklen_t(MemoryLayout.size(ofValue: address))
        _ = try withUnsafePointer(to: &address) { pointer in
            try pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                try system("binding \(socketPath)") { bind(raw, pointer, size) }
            }
        }
        try system("listening at \(socketPath)") { listen(raw, 8) }
        listener = descriptor
        if let bytes { try Self.answerOne(on: listener.duplicate(), bytes) }
    }

    private final class Answer {
        let listener: OwnedFD
        let bytes: [UInt8]

        init(_ listener: consuming OwnedFD, _ bytes: [UInt8]) {
            self.listener = listener
            self.bytes = bytes
        }
    }

    private static func answerOne(on listener: consuming OwnedFD, _ bytes: [UInt8]) throws {
        var thread = pthread_t()
        let error = pthread_create(
            &thread,
            nil,
            { argument in
                guard let argument else { return nil }
                let answer = Unmanaged<Answer>.fromOpaque(argument).takeRetainedValue()
                let accepted = accept(answer.listener.rawValue, nil, nil)
                guard accepted >= 0 else { return nil }
                let connection = OwnedFD(taking: accepted)
                answer.bytes.withUnsafeBytes {
                    _ = send(accepted, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
                }
                // What the other side says is read to its end, so that it sees our bytes and not a reset.
                shutdown(accepted, Int32(SHUT_WR))
                _ = try? connection.readAll(limit: 1 << 20, name: "a socket")
                return nil
            },
            Unmanaged.passRetained(Answer(listener, bytes)).toOpaque()
        )
        if error != 0 { throw RktError(.limitExceeded, "cannot start a thread") }
        pthread_detach(thread)
    }
}
