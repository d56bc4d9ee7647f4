import LinuxOS
import Testing

@testable import Pods

@Suite struct ForegroundTests {
    @Test(arguments: [
        "/system.slice/redis.service", "/system.slice/a-b.slice/redis@1.service/sub/group", "/machine.slice/x.scope",
        "/redis.service",
    ])
    func unitsOfTheSystemEnclosePods(cgroup: String) {
        guard case .beside(let own, let unit) = ForegroundPlace.place(inCgroup: cgroup) else {
            Issue.record("\(cgroup) does not enclose it")
            return
        }
        #expect(own == cgroup)
        #expect(cgroup.hasPrefix(unit))
        #expect(unit.hasSuffix(".service") || unit.hasSuffix(".scope"))
    }

    @Test(arguments: [
        "/", "", "/init.scope", "/user.slice/user-1000.slice/session-3.scope",
        "/user.slice/user-0.slice/user@0.service/app.slice/run-1.service", "/../../elsewhere", "/system.slice",
        "/some-container", "/system.slice/dev-sda.swap",
    ])
    func othersHaveAScopeOfTheirOwn(cgroup: String) {
        guard case .scope = ForegroundPlace.place(inCgroup: cgroup) else {
            Issue.record("\(cgroup) encloses it")
            return
        }
    }

    @Test func aRebootIsNoEnd() {
        var ending = ForegroundMachine.Ending(isReady: true, machine: .exited(133))
        #expect(ending.isReboot)
        ending.isStopped = true
        #expect(!ending.isReboot)
        #expect(!ForegroundMachine.Ending(machine: .exited(133)).isReboot)
        #expect(!ForegroundMachine.Ending(isReady: true, machine: .killed(9)).isReboot)
    }
}
