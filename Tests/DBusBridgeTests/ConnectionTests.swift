import DBusBridge
import Diagnostics
import Glibc
import LinuxOS
import TestSupport
import Testing

/// Expects an asynchronous operation to fail.
func failure(of operation: () async throws -> Void) async throws -> RktError {
    do {
        try await operation()
    } catch {
        return try #require(error as? RktError)
    }
    throw RktError(.failed, "the operation was expected to fail")
}

@Suite(.timeLimit(.minutes(10))) struct ConnectionTests {
    private let directory: TemporaryDirectory
    private let socket: String

    init() throws {
        directory = try TemporaryDirectory()
        socket = directory.path(of: "s")
    }

    private func call(_ member: String, _ arguments: [DBusValue] = []) -> DBusCall {
        DBusCall(
            destination: "test.Service",
            path: "/a",
            interface: "test.Interface",
            member: member,
            arguments: arguments
        )
    }

    @Test func callsReachAPeerAndTheReplyComesBack() async throws {
        let service = try FakeService.listening(at: socket) { [.reply($0.arguments)] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let arguments: [DBusValue] = [.string("x"), .properties([("A", .uint64(1))])]
        #expect(try await connection.call(call("Echo", arguments)) == arguments)
        #expect(service.calls.map(\.member) == ["Echo"])
    }

    @Test func thousandsOfCallsAtOnceEachGetTheirOwnReply() async throws {
        let service = try FakeService.listening(at: socket) { [.reply($0.arguments)] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let sum = try await withThrowingTaskGroup(of: UInt64.self) { group in
            for number in 0..<4000 as Range<UInt32> {
                group.addTask { UInt64(try await connection.call(call("Echo", [.uint32(number)]))[0].asUInt32()) }
            }
            return try await group.reduce(0, +)
        }
        #expect(sum == 3999 * 4000 / 2)
        #expect(service.calls.count == 4000)
    }

    @Test func callsStartedTogetherAreSentInOrderBeforeAnyReply() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.hold] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let replies = try await connection.start(all: (0..<50).map { call("Hold", [.int32($0)]) })
        await service.waitForCalls(50)
        #expect(service.calls.map(\.arguments) == (0..<50).map { [.int32($0)] })
        service.answerHeld([.reply([.bool(true)])])
        for reply in replies { #expect(try await reply.value() == [.bool(true)]) }
    }

    @Test func aFileDescriptorArrivesAsTheSameOpenFile() async throws {
        let service = try FakeService.listening(at: socket) { [.reply($0.arguments)] }
        defer { service.stop() }
        let file = try directory.open().open("f", flags: O_RDWR | O_CREAT, mode: 0o600)
        let sent = DBusDescriptor(taking: file)
        let connection = try await DBusConnection.peer(socketPath: socket)
        let received = try await connection.call(call("Echo", [.fileDescriptor(sent)]))[0].asFileDescriptor()
        #expect(received.descriptor.rawValue != sent.descriptor.rawValue)
        let there = try FileStatus(of: sent.descriptor, name: "f").identity
        let back = try FileStatus(of: received.descriptor, name: "f").identity
        #expect(there == back)
        #expect(fcntl(received.descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
    }

    @Test(
        arguments: [
            ("org.freedesktop.systemd1.NoSuchUnit", .notFound),
            ("org.freedesktop.DBus.Error.AccessDenied", .permissionDenied),
            ("org.freedesktop.machine1.MachineExists", .alreadyExists),
            ("org.freedesktop.DBus.Error.NoReply", .unavailable),
            ("org.freedesktop.DBus.Error.UnknownMethod", .unsupported),
            ("com.example.Whatever", .failed),
        ] as [(String, RktError.Code)]
    )
    func anErrorReplyKeepsItsNameAndGetsACode(name: String, code: RktError.Code) async throws {
        let service = try FakeService.listening(at: socket) { _ in [.error(name, "no\nluck")] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let error = try await failure { _ = try await connection.call(call("Fail")) }
        #expect(error.code == code)
        #expect(error.dbusError == DBusError(name: name, message: "no luck"))
        #expect(error.description == "calling test.Interface.Fail of test.Service: no luck (\(name))")
    }

    @Test func aLateReplyIsATimeoutThatNamesTheCallAndTheConnectionLivesOn() async throws {
        let service = try FakeService.listening(at: socket) { $0.member == "Hold" ? [.hold] : [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let error = try await failure { _ = try await connection.call(call("Hold"), timeout: .milliseconds(20)) }
        #expect(error.code == .timeout)
        #expect(error.description.contains("test.Interface.Hold of test.Service"))
        service.answerHeld([.reply([.string("too late")])])
        #expect(try await connection.call(call("Other")).isEmpty)
    }

    @Test func cancellingTheTaskEndsTheWait() async throws {
        let service = try FakeService.listening(at: socket) { $0.member == "Hold" ? [.hold] : [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let task = Task { try await connection.call(call("Hold")) }
        await service.waitForCalls(1)
        task.cancel()
        let error = try await failure { _ = try await task.value }
        #expect(error.code == .cancelled)
        #expect(try await connection.call(call("Other")).isEmpty)
    }

    @Test func aDisconnectInTheMiddleFailsAllThatWaitsAndAllThatFollows() async throws {
        let service = try FakeService.listening(at: socket) { $0.member == "Quit" ? [.disconnect] : [.hold] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let signals = try await connection.signals(matching: DBusSignalMatch(interface: "a.b"))
        let replies = try await connection.start(all: [call("Hold"), call("Hold"), call("Quit")])
        for reply in replies {
            #expect(try await failure { _ = try await reply.value() }.code == .unavailable)
        }
        #expect(try await failure { for try await _ in signals {} }.code == .unavailable)
        #expect(try await failure { _ = try await connection.call(call("More")) }.code == .unavailable)
        let match = DBusSignalMatch(interface: "a.b")
        #expect(try await failure { _ = try await connection.signals(matching: match) }.code == .unavailable)
    }

    @Test func closingFailsWhatWaits() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.hold] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let reply = try await connection.start(call("Hold"))
        await connection.close()
        #expect(try await failure { _ = try await reply.value() }.code == .unavailable)
        await connection.close()
    }

    @Test func aMessageOverTheLimitEndsTheConnectionAndNotTheProcess() async throws {
        let large = DBusValue.array(
            elementSignature: "ay",
            [DBusValue](repeating: .bytes([UInt8](repeating: 1, count: 5 << 20)), count: 3)
        )
        let service = try FakeService.listening(at: socket) { call in
            call.member == "Large" ? [.reply([large])] : [.replyOverLimit]
        }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        #expect(try await connection.call(call("Large")) == [large])
        #expect(try await failure { _ = try await connection.call(call("Huge")) }.code == .unavailable)
    }

    @Test func malformedCallsAreRefusedAndNotSent() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let bad = [
            DBusCall(destination: "no name", path: "/", interface: "a.b", member: "C"),
            DBusCall(destination: nil, path: "a", interface: "a.b", member: "C"),
            DBusCall(destination: nil, path: "/", interface: "a", member: "C"),
            DBusCall(destination: nil, path: "/", interface: "a.b", member: "C-D"),
            DBusCall(destination: nil, path: "/", interface: "a.b", member: "C\0"),
            DBusCall(destination: nil, path: "/", interface: "a.b", member: "C", arguments: [.string("\0")]),
        ]
        for call in bad {
            #expect(try await failure { _ = try await connection.call(call) }.code == .invalidArgument)
        }
        _ = try await connection.call(call("Good"))
        #expect(service.calls.map(\.member) == ["Good"])
    }

    @Test func aCallWithoutReplyReturnsAtOnceAndArrives() async throws {
        let service = try FakeService.listening(at: socket) { _ in [] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        var call = call("Quiet")
        call.noReply = true
        #expect(try await connection.call(call).isEmpty)
        await service.waitForCalls(1)
    }

    @Test func aPeerThatSaysNothingIsATimeout() async throws {
        let peer = try RawPeer(socketPath: socket, saying: nil)
        let error = try await failure {
            _ = try await DBusConnection.peer(socketPath: socket, timeout: .milliseconds(20))
        }
        #expect(error.code == .timeout)
        #expect(error.description.contains("the authentication at \(socket)"))
        withExtendedLifetime(peer) {}
    }

    @Test(arguments: ["", "\u{0}\u{1}\u{2}", "REJECTED EXTERNAL\r\n", "HTTP/1.1 400 Bad Request\r\n\r\n"])
    func aPeerThatSaysSomethingElseIsUnavailable(words: String) async throws {
        let peer = try RawPeer(socketPath: socket, saying: Array(words.utf8))
        let error = try await failure { _ = try await DBusConnection.peer(socketPath: socket) }
        #expect(error.code == .unavailable)
        withExtendedLifetime(peer) {}
    }

    @Test func aPeerThatTurnsToNonsenseAfterAuthenticationIsUnavailable() async throws {
        let words = "OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n" + String(repeating: "l\u{2}", count: 64)
        let peer = try RawPeer(socketPath: socket, saying: Array(words.utf8))
        let error = try await failure {
            let connection = try await DBusConnection.peer(socketPath: socket)
            _ = try await connection.call(call("Any"))
        }
        #expect(error.code == .unavailable)
        withExtendedLifetime(peer) {}
    }

    @Test func whereNobodyListensTheErrorNamesTheSocket() async throws {
        let error = try await failure { _ = try await DBusConnection.peer(socketPath: socket) }
        #expect(error.code == .unavailable)
        #expect(error.description.contains(socket))
    }

    @Test func aPathThatNeedsEscapingInAnAddressIsReached() async throws {
        let odd = directory.path(of: "a b;c,d=e%f:é")
        let escaped = directory.path(of: "a%20b%3bc%2cd%3de%25f%3a%c3%a9")
        let service = try FakeService.listening(at: escaped) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: odd)
        #expect(try await connection.call(call("Any")).isEmpty)
    }

    @Test func connectionsLeaveNoDescriptorBehind() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit(rlim_cur: 256, rlim_max: 256)
            try #require(setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
            let directory = try TemporaryDirectory()
            let socket = directory.path(of: "s")
            let service = try FakeService.listening(at: socket) { [.reply($0.arguments)] }
            let call = DBusCall(destination: nil, path: "/", interface: "a.b", member: "C")
            for _ in 0..<1000 {
                let connection = try await DBusConnection.peer(socketPath: socket)
                _ = try await connection.signals(matching: DBusSignalMatch(interface: "a.b"))
                _ = try await connection.call(call)
            }
            service.stop()
        }
    }
}
