import Diagnostics
import Glibc
import LinuxOS
import TestSupport
import Testing

@Suite struct NotifySocketTests {
    private let temporary: TemporaryDirectory
    private let path: String

    init() throws {
        temporary = try TemporaryDirectory()
        path = try temporary.open().path(of: "notify")
    }

    @Test func messagesComeWithTheirDescriptors() throws {
        let socket = try NotifySocket(at: path)
        #expect(try socket.receive() == nil)
        let pipe = try Pipe()
        do {
            let writer = pipe.takeWriter()
            let text = "FDSTORE=1\nFDNAME=lock\nSTATUS=a=b\nno value\n"
            try NotifySocket.send(text, to: path, with: writer.rawValue)
        }
        guard let message = try socket.receive() else {
            Issue.record("no message")
            return
        }
        #expect(message.fields == ["FDSTORE": "1", "FDNAME": "lock", "STATUS": "a=b"])
        // The one that was sent: what is written to it arrives.
        guard let writer = message.takeDescriptor() else {
            Issue.record("no descriptor")
            return
        }
        try writer.writeAll("x", name: "pipe")
        _ = consume writer
        #expect(try pipe.reader.readAll(limit: 9, name: "pipe") == Array("x".utf8))
    }

    @Test func aDescriptorThatNobodyTakesIsClosed() throws {
        let socket = try NotifySocket(at: path)
        let pipe = try Pipe()
        do {
            let writer = pipe.takeWriter()
            try NotifySocket.send("BARRIER=1", to: path, with: writer.rawValue)
        }
        _ = try socket.receive()
        #expect(try pipe.reader.readAll(limit: 9, name: "pipe").isEmpty)
    }

    @Test func theSocketIsForItsOwnerAlone() throws {
        let socket = try NotifySocket(at: path)
        #expect(try temporary.open().status(of: "notify").mode == 0o600)
        withExtendedLifetime(socket) {}
    }

    @Test func whereNobodyListensIsTold() throws {
        #expect(throws: RktError.self) { try NotifySocket.send("READY=1", to: path) }
        do { _ = try NotifySocket(at: path) }
        let error = #expect(throws: RktError.self) { try NotifySocket.send("READY=1", to: path) }
        #expect(error?.code == .unavailable)
        #expect(throws: RktError.self) { try NotifySocket(at: String(repeating: "x", count: 200)) }
    }

    @Test func longMessagesAreCut() throws {
        let socket = try NotifySocket(at: path)
        try NotifySocket.send("A=" + String(repeating: "x", count: 10_000), to: path)
        #expect(try socket.receive()?.fields["A"]?.count == 4094)
    }
}
