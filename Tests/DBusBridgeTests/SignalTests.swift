import DBusBridge
import Diagnostics
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct SignalTests {
    private let directory: TemporaryDirectory
    private let socket: String

    init() throws {
        directory = try TemporaryDirectory()
        socket = directory.path(of: "s")
    }

    private func signal(_ number: UInt32, member: String = "Changed", path: String = "/a") -> DBusSignal {
        DBusSignal(path: path, interface: "test.Interface", member: member, arguments: [.uint32(number)])
    }

    private func numbers(_ signals: DBusSignals, count: Int) async throws -> [UInt32] {
        var found: [UInt32] = []
        for try await signal in signals.prefix(count) { found.append(try signal.arguments[0].asUInt32()) }
        return found
    }

    private let ping = DBusCall(destination: nil, path: "/", interface: "test.Interface", member: "Ping")

    @Test func aSignalSentBeforeTheReplyIsInAStreamMadeBeforeTheCall() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.signal(signal(1)), .reply([]), .signal(signal(2))]
        }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let signals = try await connection.signals(matching: DBusSignalMatch(path: "/a", member: "Changed"))
        _ = try await connection.call(ping)
        #expect(try await numbers(signals, count: 2) == [1, 2])
    }

    @Test func aStreamGetsOnlyWhatMatches() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let members = try await connection.signals(matching: DBusSignalMatch(member: "Wanted"))
        let below = try await connection.signals(matching: DBusSignalMatch(pathNamespace: "/a/b"))
        let named = try await connection.signals(matching: DBusSignalMatch(argument0: "x"))
        let third = try await connection.signals(matching: DBusSignalMatch(argument2: "y"))
        service.emit([
            signal(1), signal(2, member: "Wanted"), signal(3, path: "/a/bc"), signal(4, path: "/a/b"),
            signal(5, path: "/a/b/c"), signal(6, member: "Wanted"),
            DBusSignal(path: "/", interface: "test.Interface", member: "N", arguments: [.string("x"), .uint32(7)]),
            DBusSignal(
                path: "/",
                interface: "test.Interface",
                member: "N",
                arguments: [.uint32(8), .string("x"), .string("y")]
            ),
        ])
        #expect(try await numbers(members, count: 2) == [2, 6])
        #expect(try await numbers(below, count: 2) == [4, 5])
        var iterator = named.makeAsyncIterator()
        #expect(try await iterator.next()?.arguments == [.string("x"), .uint32(7)])
        var thirds = third.makeAsyncIterator()
        #expect(try await thirds.next()?.arguments == [.uint32(8), .string("x"), .string("y")])
    }

    @Test func unreadSignalsOverTheLimitEndTheStreamWithAnError() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let signals = try await connection.signals(matching: DBusSignalMatch(member: "Changed"), limit: 3)
        let other = try await connection.signals(matching: DBusSignalMatch(member: "Changed"))
        service.emit((1...5).map { signal($0) })
        #expect(try await numbers(other, count: 5) == [1, 2, 3, 4, 5])
        var found: [UInt32] = []
        let error = try await failure {
            for try await signal in signals { found.append(try signal.arguments[0].asUInt32()) }
        }
        #expect(found == [1, 2, 3])
        #expect(error.code == .limitExceeded)
    }

    @Test func aStreamWithADeadlineEndsWithATimeout() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let match = DBusSignalMatch(member: "Never")
        let signals = try await connection.signals(matching: match, timeout: .milliseconds(10))
        #expect(try await failure { for try await _ in signals {} }.code == .timeout)
    }

    @Test func cancellingTheReaderEndsItsWait() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.peer(socketPath: socket)
        let signals = try await connection.signals(matching: DBusSignalMatch(member: "Never"))
        let task = Task { for try await _ in signals {} }
        task.cancel()
        #expect(try await failure { try await task.value }.code == .cancelled)
    }

    @Test func aStreamKeepsItsConnectionOpen() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let signals = try await DBusConnection.peer(socketPath: socket).signals(matching: DBusSignalMatch())
        service.emit(signal(9))
        #expect(try await numbers(signals, count: 1) == [9])
    }
}
