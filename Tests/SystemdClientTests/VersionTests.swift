import DBusBridge
import Diagnostics
import SystemdClient
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct VersionTests {
    @Test(arguments: [("252.39-1~deb12u2", 252), ("v257", 257), ("262~rc1", 262), ("262", 262)])
    func theReleaseIsTheNumberInFront(text: String, major: Int) throws {
        #expect(try SystemdVersion(text).major == major)
    }

    @Test(arguments: ["", "v", "systemd 252", "-1", "99999999999999999999"])
    func anythingElseIsNoVersion(text: String) {
        let error = #expect(throws: RktError.self) { try SystemdVersion(text) }
        #expect(error?.code == .invalidData)
    }

    @Test(arguments: [(252, false), (258, false), (259, true), (262, true)])
    func capabilitiesFollowFromTheVersion(major: Int, registerMachineEx: Bool) throws {
        let capabilities = SystemCapabilities(version: try SystemdVersion("\(major)"))
        #expect(capabilities.registerMachineEx == registerMachineEx)
    }

    @Test func aSystemdThatIsTooOldIsRefusedByName() async throws {
        let directory = try TemporaryDirectory()
        let socket = directory.path(of: "private")
        let service = try FakeService.listening(at: socket) { _ in [.reply([.variant(.string("251.4"))])] }
        defer { service.stop() }
        let manager = try await SystemdManager.connect(socketPath: socket, busFallback: false)
        let error = try await failure { _ = try await manager.capabilities() }
        #expect(error.code == .unsupported)
        #expect(error.description == "systemd 251.4 is too old; 252 or newer is needed")
    }
}
