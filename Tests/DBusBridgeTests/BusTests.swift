import DBusBridge
import Diagnostics
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct BusTests {
    private let bus: PrivateBus

    init() throws {
        bus = try PrivateBus()
    }

    private func call(_ member: String, to destination: String = "test.Service") -> DBusCall {
        DBusCall(destination: destination, path: "/", interface: "test.Interface", member: member)
    }

    private func signal(_ number: UInt32) -> DBusSignal {
        DBusSignal(path: "/", interface: "test.Interface", member: "Changed", arguments: [.uint32(number)])
    }

    private let match = DBusSignalMatch(sender: "test.Service", interface: "test.Interface", member: "Changed")

    @Test func aConnectionHasANameAndReachesAService() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([.string("here")])] }
        defer { service.stop() }
        let connection = try await DBusConnection.bus(address: bus.address)
        #expect(await connection.uniqueName.hasPrefix(":1."))
        #expect(try await connection.call(call("Where")) == [.string("here")])
    }

    @Test func aServiceThatIsNotThereIsUnavailable() async throws {
        let connection = try await DBusConnection.bus(address: bus.address)
        let error = try await failure { _ = try await connection.call(call("Any", to: "test.Nobody")) }
        #expect(error.code == .unavailable)
        #expect(error.dbusError?.name == "org.freedesktop.DBus.Error.ServiceUnknown")
    }

    @Test func theMatchIsInForceWhenTheStreamIsReturned() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.bus(address: bus.address)
        let signals = try await connection.signals(matching: match)
        service.emit(signal(1))
        var iterator = signals.makeAsyncIterator()
        let first = try #require(try await iterator.next())
        #expect(first.arguments == [.uint32(1)])
        #expect(first.sender?.hasPrefix(":1.") == true)
    }

    @Test func aSignalFromSomebodyElseDoesNotPassForTheServices() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        defer { service.stop() }
        let impostor = try FakeService.onBus(bus.address, name: "test.Impostor") { [signal] _ in
            [.signal(signal(666)), .reply([])]
        }
        defer { impostor.stop() }
        let connection = try await DBusConnection.bus(address: bus.address)
        let genuine = try await connection.signals(matching: match)
        // Lets the impostor's signals through to the connection.
        let all = try await connection.signals(matching: DBusSignalMatch(interface: "test.Interface"))
        _ = try await connection.call(call("Any", to: "test.Impostor"))
        service.emit(signal(1))
        var iterator = all.makeAsyncIterator()
        #expect(try await iterator.next()?.arguments == [.uint32(666)])
        var genuineIterator = genuine.makeAsyncIterator()
        #expect(try await genuineIterator.next()?.arguments == [.uint32(1)])
    }

    @Test func aServiceThatComesLaterIsHeard() async throws {
        let connection = try await DBusConnection.bus(address: bus.address)
        let signals = try await connection.signals(matching: match)
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        defer { service.stop() }
        service.emit(signal(5))
        var iterator = signals.makeAsyncIterator()
        #expect(try await iterator.next()?.arguments == [.uint32(5)])
    }

    @Test func aSenderThatLeavesTheBusEndsItsSignals() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        let connection = try await DBusConnection.bus(address: bus.address)
        let signals = try await connection.signals(matching: match)
        service.emit(signal(5))
        var iterator = signals.makeAsyncIterator()
        #expect(try await iterator.next()?.arguments == [.uint32(5)])
        service.stop()
        let error = try await failure { _ = try await iterator.next() }
        #expect(error.code == .unavailable)
        #expect(error.message.contains("test.Service"))
        // The connection itself lives on.
        let again = try await connection.signals(matching: match)
        let successor = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        defer { successor.stop() }
        successor.emit(signal(6))
        var next = again.makeAsyncIterator()
        #expect(try await next.next()?.arguments == [.uint32(6)])
    }

    @Test func aMatchTheBusRefusesIsAnError() async throws {
        let connection = try await DBusConnection.bus(address: bus.address)
        let bad = DBusSignalMatch(interface: "not an interface")
        let error = try await failure { _ = try await connection.signals(matching: bad) }
        #expect(error.dbusError?.name == "org.freedesktop.DBus.Error.MatchRuleInvalid")
    }

    @Test func anApostropheInAMatchIsQuoted() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.reply([])] }
        defer { service.stop() }
        let connection = try await DBusConnection.bus(address: bus.address)
        let signals = try await connection.signals(matching: DBusSignalMatch(argument0: "it's"))
        let quoted = DBusSignal(path: "/", interface: "a.b", member: "C", arguments: [.string("it's")])
        service.emit(quoted)
        var iterator = signals.makeAsyncIterator()
        #expect(try await iterator.next()?.arguments == quoted.arguments)
    }

    @Test func theEndOfTheBusFailsWhatWaits() async throws {
        let service = try FakeService.onBus(bus.address, name: "test.Service") { _ in [.hold] }
        let connection = try await DBusConnection.bus(address: bus.address)
        let signals = try await connection.signals(matching: match)
        let reply = try await connection.start(call("Hold"))
        await service.waitForCalls(1)
        bus.kill()
        #expect(try await failure { _ = try await reply.value() }.code == .unavailable)
        #expect(try await failure { for try await _ in signals {} }.code == .unavailable)
        service.stop()
    }

    @Test func aBusThatIsNotThereIsUnavailable() async throws {
        let error = try await failure { _ = try await DBusConnection.bus(address: "unix:path=/nonexistent/bus") }
        #expect(error.code == .unavailable)
    }
}
