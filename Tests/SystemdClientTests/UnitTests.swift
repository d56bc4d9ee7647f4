import DBusBridge
import Diagnostics
import Glibc
import SystemdClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct UnitTests {
    private let directory: TemporaryDirectory
    private let socket: String

    init() throws {
        directory = try TemporaryDirectory()
        socket = directory.path(of: "private")
    }

    @Test func aUnitsStateIsReadInOneCall() async throws {
        let service = try FakeService.listening(at: socket) { _ in
            [.reply([FakeSystemd.properties(active: "failed", result: "exit-code", code: 1, status: 3, job: 9)])]
        }
        defer { service.stop() }
        let manager = try await SystemdManager.connect(socketPath: socket, busFallback: false)
        let state = try await manager.unitProperties("rkt-a.service")
        #expect(service.calls.map(\.path) == ["/org/freedesktop/systemd1/unit/rkt_2da_2eservice"])
        #expect(state.activeState == "failed")
        #expect(state.failure == "exit-code, status 3")
        #expect(state.job == SystemdJob(unit: "rkt-a.service", path: FakeSystemd.jobPath(9)))
        #expect(state.invocationID == [UInt8](repeating: 7, count: 16))
    }

    @Test(
        arguments: [
            ([], "LoadState"),
            ([DBusEntry(.string("LoadState"), .variant(.uint32(1)))], "LoadState"),
        ] as [([DBusEntry], String)]
    )
    func aPropertyThatIsMissingOrOfAnotherTypeIsNamed(entries: [DBusEntry], name: String) async throws {
        let service = try FakeService.listening(at: socket) { _ in
            [.reply([.dictionary(keySignature: "s", valueSignature: "v", entries)])]
        }
        defer { service.stop() }
        let manager = try await SystemdManager.connect(socketPath: socket, busFallback: false)
        let error = try await failure { _ = try await manager.unitProperties("a.service") }
        #expect(error.code == .invalidData)
        #expect(error.description.contains("\(name) of a.service"))
    }

    /// A systemd that tells one state of a unit, and signals once all of it has been asked for.
    private func systemd(
        telling properties: [(String, DBusValue)],
        before early: [DBusSignal] = [],
        then signals: [DBusSignal] = []
    ) async throws -> (service: FakeService, manager: SystemdManager) {
        let service = try FakeService.listening(at: socket) { call in
            guard let value = FakeSystemd.value(for: call, of: properties) else {
                return [.error("org.freedesktop.DBus.Error.UnknownMethod", call.member)]
            }
            let isLast = call.arguments.last == .string("Job")
            return (isLast ? early.map { .signal($0) } : []) + [.reply(value)]
                + (isLast ? signals.map { .signal($0) } : [])
        }
        return (service, try await SystemdManager.connect(socketPath: socket, busFallback: false))
    }

    @Test func waitingForTheEndOutlastsARestartAndAsksOnlyOnce() async throws {
        // Running, stopped with the job that starts it again, running, down.
        let (service, manager) = try await systemd(
            telling: FakeSystemd.activity(active: "active", sub: "running"),
            then: [
                FakeSystemd.changed("a.service", FakeSystemd.activity(active: "inactive", job: 3)),
                FakeSystemd.changed("a.service", FakeSystemd.activity(active: "active", sub: "running")),
                FakeSystemd.changed("a.service", FakeSystemd.activity(active: "failed", sub: "failed")),
            ]
        )
        defer { service.stop() }
        let state = try await manager.waitUntilInactive("a.service")
        #expect(state.activeState == "failed")
        #expect(state.subState == "failed")
        #expect(service.calls.map(\.path) == Array(repeating: SystemdManager.unitPath("a.service"), count: 3))
    }

    @Test func aChangeLeavesWhatItDoesNotTell() async throws {
        let down: [(String, DBusValue)] = [("ActiveState", .string("inactive"))]
        let (service, manager) = try await systemd(
            telling: FakeSystemd.activity(active: "active", sub: "exited", job: 3),
            then: [
                FakeSystemd.changed("a.service", down),
                // With the job gone, it is down.
                FakeSystemd.changed("a.service", [("Job", .structure([.uint32(0), .objectPath("/")]))]),
            ]
        )
        defer { service.stop() }
        let state = try await manager.waitUntilInactive("a.service")
        #expect(state.activeState == "inactive")
        #expect(state.subState == "exited")
        #expect(!state.hasJob)
    }

    @Test func changesOfOtherUnitsAndInterfacesSayNothingOfAUnit() async throws {
        let down = FakeSystemd.activity(active: "inactive")
        let (service, manager) = try await systemd(
            telling: FakeSystemd.activity(active: "active"),
            then: [
                FakeSystemd.changed("b.service", down),
                FakeSystemd.changed("a.service", interface: "org.freedesktop.systemd1.Service", down),
                FakeSystemd.changed("a.service", FakeSystemd.activity(active: "failed")),
            ]
        )
        defer { service.stop() }
        #expect(try await manager.waitUntilInactive("a.service").activeState == "failed")
    }

    @Test func aChangeThatOvertakesTheAnswerIsNotMissed() async throws {
        let (service, manager) = try await systemd(
            telling: FakeSystemd.activity(active: "active"),
            before: [FakeSystemd.changed("a.service", FakeSystemd.activity(active: "inactive"))]
        )
        defer { service.stop() }
        #expect(try await manager.waitUntilInactive("a.service").activeState == "inactive")
    }

    @Test func aUnitThatIsDownAlreadyIsNotWaitedFor() async throws {
        let (service, manager) = try await systemd(telling: FakeSystemd.activity(active: "inactive"))
        defer { service.stop() }
        #expect(try await manager.waitUntilInactive("a.service").activeState == "inactive")
    }

    @Test func aUnitThatStaysUpIsATimeoutThatTellsItsState() async throws {
        let (service, manager) = try await systemd(telling: FakeSystemd.activity(active: "active", sub: "running"))
        defer { service.stop() }
        let error = try await failure { try await manager.waitUntilInactive("a.service", timeout: .milliseconds(20)) }
        #expect(error.code == .timeout)
        #expect(error.description.contains("a.service is still active (running)"))
    }

    @Test(arguments: ["ActiveState", "SubState", "Job"])
    func anActivityOfAnotherTypeIsInvalidData(property: String) async throws {
        let (service, manager) = try await systemd(
            telling: FakeSystemd.activity(active: "inactive").map { $0.0 == property ? ($0.0, .uint32(1)) : $0 }
        )
        defer { service.stop() }
        let error = try await failure { _ = try await manager.waitUntilInactive("a.service") }
        #expect(error.code == .invalidData)
    }

    @Test func listedUnitsAreRead() async throws {
        let line: [DBusValue] = [
            .string("a.service"), .string("An app"), .string("loaded"), .string("active"), .string("running"),
            .string(""), .objectPath("/u"), .uint32(2), .string("stop"), .objectPath("/j"),
        ]
        let service = try FakeService.listening(at: socket) { _ in
            [.reply([.array(elementSignature: "(ssssssouso)", [.structure(line)])])]
        }
        defer { service.stop() }
        let manager = try await SystemdManager.connect(socketPath: socket, busFallback: false)
        let units = try await manager.listUnits(patterns: ["rkt-*"])
        #expect(units.map(\.name) == ["a.service"])
        #expect(units.first?.job == SystemdJob(unit: "a.service", path: "/j"))
        #expect(service.calls.first?.arguments == [.strings([]), .strings(["rkt-*"])])
    }

    @Test func otherMethodsSendWhatSystemdTakes() async throws {
        let service = try FakeService.listening(at: socket) { _ in [.reply([])] }
        defer { service.stop() }
        let manager = try await SystemdManager.connect(socketPath: socket, busFallback: false)
        try await manager.killUnit("a.service", whom: .main, signal: 15)
        try await manager.resetFailedUnit("a.service")
        #expect(
            service.calls.map { "\($0.member) \($0.arguments.map(\.signature).joined())" }
                == ["KillUnit ssi", "ResetFailedUnit s"]
        )
    }

    @Test func withoutTheSocketTheSystemBusIsUsedAndSubscribedTo() async {
        await #expect(processExitsWith: .success) {
            let bus = try PrivateBus()
            setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address, 1)
            let service = try FakeService.onBus(bus.address, name: "org.freedesktop.systemd1") { call in
                call.member == "Subscribe"
                    ? [.error("org.freedesktop.systemd1.AlreadySubscribed", "")]
                    : [
                        .reply([.objectPath(FakeSystemd.jobPath(1))]),
                        .signal(FakeSystemd.jobRemoved(1, unit: "a.service")),
                    ]
            }
            let manager = try await SystemdManager.connect(socketPath: "/nonexistent/private")
            try await manager.startUnit("a.service", timeout: .seconds(600))
            try #require(!manager.isPeer)
            try #require(service.calls.map(\.member) == ["Subscribe", "StartUnit"])
        }
    }

    @Test func withoutSocketAndFallbackSystemdIsUnavailable() async throws {
        let error = try await failure {
            _ = try await SystemdManager.connect(socketPath: "/nonexistent/private", busFallback: false)
        }
        #expect(error.code == .unavailable)
        #expect(error.description.contains("/nonexistent/private"))
    }
}
