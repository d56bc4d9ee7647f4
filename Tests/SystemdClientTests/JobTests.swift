import DBusBridge
import Diagnostics
import SystemdClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct JobTests {
    private let directory: TemporaryDirectory
    private let socket: String

    init() throws {
        directory = try TemporaryDirectory()
        socket = directory.path(of: "private")
    }

    private func systemd(
        _ handler: @escaping FakeService.Handler
    ) async throws -> (service: FakeService, manager: SystemdManager) {
        let service = try FakeService.listening(at: socket, handler: handler)
        return (service, try await SystemdManager.connect(socketPath: socket, busFallback: false))
    }

    @Test func aJobThatIsOverBeforeItsReplyIsReadIsNotMissed() async throws {
        let (service, manager) = try await systemd { _ in
            [.signal(FakeSystemd.jobRemoved(5, unit: "a.service")), .reply([.objectPath(FakeSystemd.jobPath(5))])]
        }
        defer { service.stop() }
        try await manager.startUnit("a.service", timeout: .seconds(600))
        let call = try #require(service.calls.first)
        #expect(service.calls.count == 1)
        #expect(call.member == "StartUnit")
        #expect(call.arguments == [.string("a.service"), .string("replace")])
    }

    @Test func theEndOfAnotherJobIsNotTheEndOfThisOne() async throws {
        let (service, manager) = try await systemd { _ in
            [
                .reply([.objectPath(FakeSystemd.jobPath(5))]),
                .signal(FakeSystemd.jobRemoved(4, unit: "a.service", result: "canceled")),
                .signal(FakeSystemd.jobRemoved(5, unit: "a.service")),
            ]
        }
        defer { service.stop() }
        try await manager.stopUnit("a.service", mode: .fail)
        #expect(service.calls.map(\.member) == ["StopUnit"])
    }

    @Test(
        arguments: [
            ("failed", "exit-code", 1, 203, "exit-code, status 203"),
            ("failed", "signal", 2, 9, "signal, signal 9"),
            ("failed", "core-dump", 3, 11, "core-dump, signal 11, core dumped"),
            ("failed", "timeout", 2, 15, "timeout, signal 15"),
            ("dependency", "success", 0, 0, "a unit it needs failed"),
            ("timeout", "success", 0, 0, "the job timed out"),
            ("canceled", "success", 0, 0, "another job replaced this one"),
        ] as [(String, String, Int32, Int32, String)]
    )
    func aFailedJobNamesUnitJobResultAndUnitResult(
        job: String,
        result: String,
        code: Int32,
        status: Int32,
        words: String
    ) async throws {
        let (service, manager) = try await systemd { call in
            guard call.member == "GetAll" else {
                return [
                    .reply([.objectPath(FakeSystemd.jobPath(1))]),
                    .signal(FakeSystemd.jobRemoved(1, unit: "a.service", result: job)),
                ]
            }
            return [.reply([FakeSystemd.properties(active: "failed", result: result, code: code, status: status)])]
        }
        defer { service.stop() }
        let error = try await failure { try await manager.startUnit("a.service") }
        #expect(error.code == .failed)
        #expect(error.description.contains("cannot start a.service: job \(job): "))
        #expect(error.description.contains("the unit is failed"))
        #expect(error.description.contains(words))
    }

    @Test func unitsStartedTogetherAreAskedForBeforeAnyAnswerAndAllAreWaitedFor() async throws {
        let names = ["a.service", "b.service", "c.service"]
        let (service, manager) = try await systemd { call in
            call.member == "GetAll" ? [.reply([FakeSystemd.properties(active: "failed")])] : [.hold]
        }
        defer { service.stop() }
        let start = Task { try await manager.startUnits(names) }
        await service.waitForCalls(3)
        #expect(service.calls.map { $0.arguments.first } == names.map { .string($0) })
        // The three get the same job: the answer to held calls is one for all.
        service.answerHeld([.reply([.objectPath(FakeSystemd.jobPath(1))])])
        service.emit(FakeSystemd.jobRemoved(1, unit: "a.service", result: "failed"))
        let error = try await failure { try await start.value }
        #expect(error.description.contains("cannot start a.service"))
        #expect(service.calls.filter { $0.member == "GetAll" }.count == 3)
    }

    @Test func oneUnitThatDoesNotExistDoesNotHideTheOthers() async throws {
        let (service, manager) = try await systemd { call in
            guard call.arguments.first == .string("good.service") else {
                return [.error("org.freedesktop.systemd1.NoSuchUnit", "Unit bad.service not found.")]
            }
            return [
                .reply([.objectPath(FakeSystemd.jobPath(1))]), .signal(FakeSystemd.jobRemoved(1, unit: "good.service")),
            ]
        }
        defer { service.stop() }
        let error = try await failure { try await manager.startUnits(["bad.service", "good.service"]) }
        #expect(error.code == .notFound)
        #expect(error.description.contains("cannot start bad.service"))
        #expect(error.description.contains("Unit bad.service not found."))
    }

    @Test func noUnitsAreStartedAtOnce() async throws {
        let (service, manager) = try await systemd { _ in [] }
        defer { service.stop() }
        try await manager.startUnits([])
        #expect(service.calls.isEmpty)
    }

    @Test func aJobThatDoesNotEndIsATimeoutNamingTheUnit() async throws {
        let (service, manager) = try await systemd { _ in [.reply([.objectPath(FakeSystemd.jobPath(1))])] }
        defer { service.stop() }
        let error = try await failure { try await manager.startUnit("slow.service", timeout: .milliseconds(20)) }
        #expect(error.code == .timeout)
        #expect(error.description.contains("waiting for systemd to start slow.service"))
    }

    @Test func aSystemdThatDoesNotAnswerIsATimeoutToo() async throws {
        let (service, manager) = try await systemd { _ in [.hold] }
        defer { service.stop() }
        let error = try await failure { try await manager.stopUnit("a.service", timeout: .milliseconds(20)) }
        #expect(error.code == .timeout)
        #expect(error.description.contains("cannot stop a.service"))
    }

    @Test func theEndOfSystemdWhileAJobRunsIsUnavailable() async throws {
        let (service, manager) = try await systemd { _ in [.reply([.objectPath(FakeSystemd.jobPath(1))]), .disconnect] }
        defer { service.stop() }
        let error = try await failure { try await manager.stopUnit("a.service") }
        #expect(error.code == .unavailable)
        #expect(error.description.contains("a.service"))
    }

    @Test func cancellationEndsTheWaitForAJob() async throws {
        let (service, manager) = try await systemd { _ in [.reply([.objectPath(FakeSystemd.jobPath(1))])] }
        defer { service.stop() }
        let start = Task { try await manager.startUnit("a.service") }
        await service.waitForCalls(1)
        start.cancel()
        #expect(try await failure { try await start.value }.code == .cancelled)
    }

    @Test(arguments: [[.string("/no/path")], [], [.objectPath("/"), .byte(1)]] as [[DBusValue]])
    func aReplyOfAnotherTypeIsInvalidData(reply: [DBusValue]) async throws {
        let (service, manager) = try await systemd { _ in [.reply(reply)] }
        defer { service.stop() }
        let error = try await failure { try await manager.startUnit("a.service") }
        #expect(error.code == .invalidData)
        #expect(error.description.contains("where \"o\" is expected"))
    }

    @Test func aTransientUnitIsSentAsSystemdTakesIt() async throws {
        let (service, manager) = try await systemd { _ in
            [.signal(FakeSystemd.jobRemoved(1, unit: "t.scope")), .reply([.objectPath(FakeSystemd.jobPath(1))])]
        }
        defer { service.stop() }
        try await manager.startTransientUnit("t.scope", properties: [("PIDs", .array(elementSignature: "u", []))])
        let call = try #require(service.calls.first)
        #expect(call.arguments.map(\.signature) == ["s", "s", "a(sv)", "a(sa(sv))"])
    }
}
