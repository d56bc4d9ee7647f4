import DBusBridge
import Diagnostics
import LinuxOS
import SystemdClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct MachineTests {
    private let bus: PrivateBus

    init() throws {
        bus = try PrivateBus()
    }

    private func machined(
        _ handler: @escaping FakeService.Handler
    ) async throws -> (service: FakeService, manager: MachineManager) {
        let service = try FakeService.onBus(bus.address, name: "org.freedesktop.machine1", handler: handler)
        return (service, MachineManager(connection: try await DBusConnection.bus(address: bus.address)))
    }

    private func request(withPidfd: Bool) throws -> RegisterMachineRequest {
        // Any descriptor will do for a machined that does not look.
        let pidfd = withPidfd ? DBusDescriptor(taking: try Directory(path: "/").descriptor.duplicate()) : nil
        return RegisterMachineRequest(
            name: "rkt-1",
            id: [UInt8](1...16),
            leader: 4711,
            leaderPidfd: pidfd,
            rootDirectory: "/root"
        )
    }

    @Test func aNewMachinedGetsTheLeaderByDescriptor() async throws {
        let (service, manager) = try await machined { _ in [.reply([.objectPath("/m")])] }
        defer { service.stop() }
        try await manager.register(request(withPidfd: true))
        #expect(service.calls.map(\.member) == ["RegisterMachineEx"])
        let properties = try service.calls[0].arguments[1].asArray().map { try $0.asStructure("(sv)") }
        let types = try properties.map { "\(try $0[0].asString()) \(try $0[1].asVariant().signature)" }
        #expect(types == ["Id ay", "Service s", "Class s", "LeaderPIDFD h", "RootDirectory s"])
    }

    @Test func anOldMachinedGetsTheLeaderByNumber() async throws {
        let (service, manager) = try await machined { call in
            call.member == "RegisterMachine"
                ? [.reply([.objectPath("/m")])]
                : [.error("org.freedesktop.DBus.Error.UnknownMethod", "Unknown method")]
        }
        defer { service.stop() }
        try await manager.register(request(withPidfd: true))
        #expect(service.calls.map(\.member) == ["RegisterMachineEx", "RegisterMachine"])
        #expect(
            service.calls[1].arguments == [
                .string("rkt-1"), .bytes([UInt8](1...16)), .string("rkt"), .string("container"), .uint32(4711),
                .string("/root"),
            ]
        )
    }

    @Test(arguments: [(true, "257"), (false, "262")])
    func withoutTheCallOrTheDescriptorTheOldWayIsTakenAtOnce(withPidfd: Bool, version: String) async throws {
        let (service, manager) = try await machined { _ in [.reply([.objectPath("/m")])] }
        defer { service.stop() }
        let capabilities = SystemCapabilities(version: try SystemdVersion(version))
        try await manager.register(request(withPidfd: withPidfd), capabilities: capabilities)
        #expect(service.calls.map(\.member) == ["RegisterMachine"])
    }

    @Test func anyOtherErrorOfRegisteringIsNotRetried() async throws {
        let (service, manager) = try await machined { _ in
            [.error("org.freedesktop.machine1.MachineExists", "Machine 'rkt-1' already exists")]
        }
        defer { service.stop() }
        let error = try await failure { try await manager.register(request(withPidfd: true)) }
        #expect(error.code == .alreadyExists)
        #expect(service.calls.count == 1)
    }

    @Test func anIdOfAnotherLengthIsRefusedBeforeItIsSent() async throws {
        let (service, manager) = try await machined { _ in [.reply([])] }
        defer { service.stop() }
        var short = try request(withPidfd: false)
        short.id = [1]
        let error = try await failure { try await manager.register(short) }
        #expect(error.code == .invalidArgument)
        #expect(service.calls.isEmpty)
    }

    @Test func aMachinedThatIsNotInstalledSaysWhatToInstall() async throws {
        let manager = MachineManager(connection: try await DBusConnection.bus(address: bus.address))
        let error = try await failure { _ = try await manager.machine(ofProcess: 1) }
        #expect(error.code == .missingDependency)
        #expect(error.description.contains("systemd-container"))
    }

    @Test func aMachinesPropertiesAreRead() async throws {
        let (service, manager) = try await machined { call in
            if call.member == "GetMachineByPID" { return [.reply([.objectPath("/m")])] }
            let values: [(String, DBusValue)] = [
                ("Name", .string("rkt-1")), ("Id", .bytes([])), ("Service", .string("rkt")),
                ("Class", .string("container")), ("Unit", .string("pod@1.service")), ("Leader", .uint32(9)),
                ("RootDirectory", .string("/r")),
            ]
            let entries = values.map { DBusEntry(.string($0.0), .variant($0.1)) }
            return [.reply([.dictionary(keySignature: "s", valueSignature: "v", entries)])]
        }
        defer { service.stop() }
        let machine = try await manager.machine(ofProcess: 9)
        #expect(machine.name == "rkt-1")
        #expect(machine.unit == "pod@1.service")
        #expect(machine.leader == 9)
    }

    @Test func aMachineThatIsNotThereIsNotFound() async throws {
        let (service, manager) = try await machined { _ in
            [.error("org.freedesktop.machine1.NoSuchMachine", "No machine")]
        }
        defer { service.stop() }
        #expect(try await failure { _ = try await manager.machine(ofProcess: 9) }.code == .notFound)
    }
}
