import Glibc
import LinuxOS
import Testing

@testable import Journal

/// The kernel's list of stream sockets, against sockets of our own.
struct UnixStreamsTests {
    private let temporary: Scratch

    init() throws {
        temporary = try Scratch()
    }

    private func listener(_ path: String) throws -> OwnedFD {
        let listener = OwnedFD(taking: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0))
        try #require(withAddress(path) { bind(listener.rawValue, $0, $1) } == 0)
        try #require(listen(listener.rawValue, 8) == 0)
        return listener
    }

    private func connection(_ path: String) throws -> OwnedFD {
        let connection = OwnedFD(taking: socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0))
        try #require(withAddress(path) { connect(connection.rawValue, $0, $1) } == 0)
        return connection
    }

    private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> CInt) -> CInt {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        return withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
        }
    }

    @Test func `a path that nobody listens at is told`() throws {
        let streams = try UnixStreams(path: "\(temporary.path)/none")
        #expect(!streams.isListening)
        #expect(streams.waiting == 0 && streams.unread == 0)
    }

    @Test func `connections count until they are accepted, and what ended ones hold until it is read`() throws {
        let path = "\(temporary.path)/stdout"
        let listener = try listener(path)
        #expect(try UnixStreams(path: path).isListening)

        let living = try connection(path)
        try living.writeAll("a line\n", name: "living")
        do {
            let ended = try connection(path)
            try ended.writeAll("the last line\n", name: "ended")
        }
        #expect(try UnixStreams(path: path).waiting == 2)

        let first = OwnedFD(taking: accept(listener.rawValue, nil, nil))
        let second = OwnedFD(taking: accept(listener.rawValue, nil, nil))
        #expect(try UnixStreams(path: path).waiting == 0)
        #expect(try UnixStreams(path: path).unread == 1)
        #expect(try second.readAll(limit: 64, name: "second") == Array("the last line\n".utf8))
        #expect(try UnixStreams(path: path).unread == 0)
        withExtendedLifetime((first.rawValue, living.rawValue)) {}
    }

    @Test func `a path that only begins like it is another`() throws {
        let path = "\(temporary.path)/stdout"
        let listener = try listener("\(path)-too")
        #expect(try !UnixStreams(path: path).isListening)
        withExtendedLifetime(listener.rawValue) {}
    }
}
