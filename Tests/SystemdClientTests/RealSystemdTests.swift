import DBusBridge
import Diagnostics
import Glibc
import LinuxOS
import SystemdClient
import Testing

private let isThere = access("/run/systemd/private", R_OK | W_OK) == 0 && geteuid() == 0
private let busIsThere = access("/run/dbus/system_bus_socket", R_OK | W_OK) == 0 && isThere

/// Against the systemd of the machine the tests run on: to be run as root in a booted test machine.
@Suite(
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: isThere, "there is no /run/systemd/private here that root can open")
)
struct RealSystemdTests {
    private let name = "rkt-test-\(UInt32.random(in: .min ... .max)).service"

    private func command(_ arguments: [String]) -> (String, DBusValue) {
        let line = DBusValue.structure([.string(arguments[0]), .strings(arguments), .strings(["no-env-expand"])])
        return ("ExecStartEx", .array(elementSignature: "(sasas)", [line]))
    }

    @Test func itsVersionIsSupported() async throws {
        let capabilities = try await SystemdManager.connect(busFallback: false).capabilities()
        #expect(capabilities.version.major >= 252)
    }

    @Test func manyFreshConnectionsEachGetTheirFirstAnswer() async throws {
        for _ in 0..<300 { _ = try await SystemdManager.connect(busFallback: false).version() }
    }

    @Test(arguments: [false, true])
    func aUnitStartsRunsAndStops(overBus: Bool) async throws {
        if overBus, !busIsThere { try Test.cancel("there is no system bus here") }
        let manager = try await SystemdManager.connect(socketPath: overBus ? "/nonexistent" : "/run/systemd/private")
        try await manager.startTransientUnit(name, properties: [command(["/bin/sleep", "1000"])])
        let running = try await manager.unitProperties(name)
        #expect(running.activeState == "active")
        #expect(running.mainPID != 0)
        #expect(running.invocationID.count == 16)
        #expect(try await manager.listUnits(patterns: [name]).map(\.subState) == ["running"])
        try await manager.stopUnit(name)
        #expect(try await manager.waitUntilInactive(name).isInactive)
    }

    @Test func aUnitThatCannotBeExecutedFailsWithItsStatus() async throws {
        let manager = try await SystemdManager.connect(busFallback: false)
        let error = try await failure {
            try await manager.startTransientUnit(
                name,
                properties: [("Type", .string("oneshot")), command(["/bin/sh", "-c", "exit 203"])]
            )
        }
        #expect(error.code == .failed)
        #expect(error.description.contains(name))
        #expect(error.description.contains("job failed: the unit is failed, exit-code, status 203"))
        try await manager.resetFailedUnit(name)
    }

    @Test func aKilledUnitIsSeenToEnd() async throws {
        let manager = try await SystemdManager.connect(busFallback: false)
        try await manager.startTransientUnit(name, properties: [command(["/bin/sleep", "1000"])])
        async let end = manager.waitUntilInactive(name, timeout: .seconds(600))
        try await manager.killUnit(name, whom: .main, signal: SIGKILL)
        let state = try await end
        #expect(state.activeState == "failed")
        #expect(try await manager.unitProperties(name).failure == "signal, signal 9")
        try await manager.resetFailedUnit(name)
    }

    @Test func aUnitThatDoesNotExistIsNotFound() async throws {
        let manager = try await SystemdManager.connect(busFallback: false)
        let error = try await failure { try await manager.startUnit("rkt-no-such-unit.service") }
        #expect(error.code == .notFound)
        #expect(error.dbusError?.name == "org.freedesktop.systemd1.NoSuchUnit")
    }

    @Test func aMachineIsRegisteredSeenAndForgotten() async throws {
        guard busIsThere else { try Test.cancel("there is no system bus here") }
        let manager = try await SystemdManager.connect(busFallback: false)
        try await manager.startTransientUnit(name, properties: [command(["/bin/sleep", "1000"])])
        let leader = try await manager.unitProperties(name).mainPID
        let machines = MachineManager(connection: try await .systemBus())
        let machine = String(name.prefix { $0 != "." })
        let pidfd = try PidFD(pid: Int32(leader)).descriptor.duplicate()
        try await machines.register(
            RegisterMachineRequest(
                name: machine,
                id: (0..<16).map { _ in UInt8.random(in: 1...255) },
                leader: leader,
                leaderPidfd: DBusDescriptor(taking: pidfd)
            )
        )
        let found = try await machines.machine(ofProcess: Int32(leader))
        #expect(found.name == machine)
        #expect(found.leader == leader)
        #expect(found.unit == name)
        try await machines.unregister(machine)
        #expect(try await failure { _ = try await machines.machine(ofProcess: Int32(leader)) }.code == .notFound)
        try await manager.stopUnit(name)
    }
}
