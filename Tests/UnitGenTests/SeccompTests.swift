import FoundationEssentials
import Manifests
import Testing
import UnitGen

@Suite struct SeccompTests {
    private struct Bundle: Decodable {
        struct Linux: Decodable {
            struct Seccomp: Decodable {
                struct Rule: Decodable {
                    struct Argument: Decodable {
                        var index: Int
                        var value: UInt64
                        var valueTwo: UInt64
                        var op: String
                    }
                    var names: [String]
                    var action: String
                    var errnoRet: Int?
                    var args: [Argument]?
                }
                var defaultAction: String
                var defaultErrnoRet: Int
                var architectures: [String]
                var syscalls: [Rule]
            }
            var seccomp: Seccomp?
        }
        var linux: Linux
    }

    private func filter(
        _ capabilities: [String],
        _ architecture: MachineArchitecture = .x86
    ) throws -> Bundle.Linux.Seccomp {
        var app = try Samples.app("redis")
        app.capabilities = try capabilities.map { try #require(Capability($0)) }
        let bytes = try Samples.pod("redis", apps: [app]).runtimeConfiguration(for: app, architecture: architecture)
        return try #require(try JSONDecoder().decode(Bundle.self, from: Data(bytes)).linux.seccomp)
    }

    private func machineFilter() throws -> Bundle.Linux.Seccomp {
        let pod = try Samples.pod("nspawn")
        let bytes = try #require(pod.machineFilterConfiguration())
        #expect(OCIRules.violations(in: try JSONDecoder().decode(JSONValue.self, from: Data(bytes))) == [])
        return try #require(try JSONDecoder().decode(Bundle.self, from: Data(bytes)).linux.seccomp)
    }

    /// What becomes of a call: the first argument decides where there is a condition. Nil when it is allowed.
    private func refusal(_ name: String, argument: UInt64 = 0, in filter: Bundle.Linux.Seccomp) -> Int? {
        for rule in filter.syscalls where rule.names.contains(name) {
            let holds = (rule.args ?? []).allSatisfy { condition in
                switch condition.op {
                case "SCMP_CMP_EQ": argument == condition.value
                case "SCMP_CMP_LT": argument < condition.value
                case "SCMP_CMP_GT": argument > condition.value
                case "SCMP_CMP_MASKED_EQ": argument & condition.value == condition.valueTwo
                default: false
                }
            }
            if holds { return rule.action == "SCMP_ACT_ALLOW" ? nil : rule.errnoRet ?? filter.defaultErrnoRet }
        }
        return filter.defaultErrnoRet
    }

    @Test(arguments: [
        "statx", "rseq", "openat2", "faccessat2", "fchmodat2", "close_range", "pidfd_open", "epoll_pwait2",
        "futex_waitv",
        "clock_gettime64", "membarrier", "landlock_create_ruleset", "getcpu", "sched_yield", "mseal", "execve", "clone",
    ])
    func whatALibraryNeedsIsAllowed(name: String) throws {
        #expect(refusal(name, in: try filter([])) == nil)
    }

    @Test(arguments: [
        "io_uring_setup", "io_uring_enter", "io_uring_register", "keyctl", "add_key", "request_key", "ptrace", "mount",
        "unshare", "setns", "bpf", "perf_event_open", "userfaultfd", "kexec_load", "open_by_handle_at", "reboot",
        "swapon",
        "init_module", "chroot", "syslog", "pivot_root", "process_vm_readv", "clock_settime", "no_such_call_yet",
    ])
    func whatReachesBeyondTheAppIsRefused(name: String) throws {
        #expect(refusal(name, in: try filter([])) == 1)
    }

    @Test(arguments: [
        ("SYS_ADMIN", "mount"), ("SYS_ADMIN", "unshare"), ("SYS_CHROOT", "chroot"), ("SYS_PTRACE", "ptrace"),
        ("SYS_BOOT", "reboot"), ("SYS_MODULE", "init_module"), ("SYS_TIME", "clock_settime"), ("SYSLOG", "syslog"),
        ("BPF", "bpf"), ("PERFMON", "perf_event_open"), ("SYS_NICE", "mbind"), ("SYS_RAWIO", "iopl"),
        ("DAC_READ_SEARCH", "open_by_handle_at"), ("SYS_PACCT", "acct"), ("SYS_TTY_CONFIG", "vhangup"),
    ])
    func aCapabilityBringsItsCalls(capability: String, name: String) throws {
        #expect(refusal(name, in: try filter([])) == 1)
        #expect(refusal(name, in: try filter([capability])) == nil)
    }

    @Test(arguments: [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] as [UInt64])
    func cloneMakesNoNamespaces(flag: UInt64) throws {
        // SIGCHLD, and the flags of a thread.
        let plain: UInt64 = 0x3D_0F00 | 17
        let restricted = try filter([])
        #expect(refusal("clone", argument: plain, in: restricted) == nil)
        #expect(refusal("clone", argument: plain | flag, in: restricted) == 1)
        // As if the kernel did not have it: libraries fall back to clone.
        #expect(refusal("clone3", in: restricted) == 38)
        let privileged = try filter(["SYS_ADMIN"])
        #expect(refusal("clone", argument: plain | flag, in: privileged) == nil)
        #expect(refusal("clone3", in: privileged) == nil)
    }

    @Test(arguments: [
        (1, true), (2, true), (10, true), (16, true), (17, true), (38, false), (39, true), (40, false), (44, true),
    ])
    func socketsOfTheCryptographyAndTheHypervisorAreRefused(family: UInt64, allowed: Bool) throws {
        #expect((refusal("socket", argument: family, in: try filter(["NET_RAW"])) == nil) == allowed)
    }

    @Test(arguments: [(0, true), (8, true), (0xFFFF_FFFF, true), (0x4_0000, false), (0x40_0000, false)])
    func personalityTurnsNoProtectionOff(value: UInt64, allowed: Bool) throws {
        #expect((refusal("personality", argument: value, in: try filter([])) == nil) == allowed)
    }

    @Test func eachArchitectureHasItsOwn() throws {
        #expect(try filter([], .x86).architectures == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"])
        #expect(try filter([], .arm).architectures == ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"])
        #expect(refusal("arch_prctl", in: try filter([], .x86)) == nil)
        #expect(refusal("arch_prctl", in: try filter([], .arm)) == 1)
        #expect(refusal("cacheflush", in: try filter([], .arm)) == nil)
    }

    @Test(arguments: [[], ["SYS_ADMIN", "BPF", "PERFMON", "SYSLOG"], Capability.all.map(\.description)])
    func noCallIsNamedTwiceInOneRuleAndRulesAreFew(capabilities: [String]) throws {
        let filter = try filter(capabilities)
        for rule in filter.syscalls { #expect(Set(rule.names).count == rule.names.count) }
        #expect(filter.syscalls.count <= 11)
    }

    @Test func withoutAFilterThereIsNone() throws {
        let pod = try Samples.pod("fly")
        let bytes = try pod.runtimeConfiguration(for: pod.apps[0])
        #expect(try JSONDecoder().decode(Bundle.self, from: Data(bytes)).linux.seccomp == nil)
    }

    // MARK: Of a whole machine

    /// What its systemd needs for itself and for containers.
    @Test(arguments: [
        "mount", "unshare", "setns", "pivot_root", "reboot", "clone3", "mount_setattr", "seccomp", "ptrace", "chroot",
        "name_to_handle_at", "mlock", "io_uring_setup",
    ])
    func aMachineMayRunAWholeSystem(name: String) throws {
        #expect(refusal(name, in: try machineFilter()) == nil)
    }

    @Test func whatAMachinesFilterDoesNotKnowDoesNotExist() throws {
        #expect(refusal("no_such_call_yet", in: try machineFilter()) == 38)
    }

    @Test(arguments: [
        "open_by_handle_at", "bpf", "keyctl", "add_key", "request_key", "perf_event_open", "kexec_load", "init_module",
        "finit_module", "swapon", "settimeofday", "clock_settime", "acct", "syslog", "quotactl", "pidfd_getfd", "iopl",
        "fanotify_init",
    ])
    func whatIsTheHostsIsRefusedInAMachine(name: String) throws {
        #expect(refusal(name, in: try machineFilter()) == 1)
    }

    @Test func aMachineIsToldThatThereIsNoAudit() throws {
        let rules = try machineFilter().syscalls.filter { $0.names == ["socket"] }
        let refused = rules.filter { $0.action == "SCMP_ACT_ERRNO" }
        #expect(refused.map(\.errnoRet) == [97])
        // AF_NETLINK and NETLINK_AUDIT.
        #expect(refused.first?.args?.map(\.value) == [16, 9])
        #expect(rules.count == 3)
    }

    /// The machine's filter is above its apps', as systemd-nspawn's would be: what an app under `units` may and here may not.
    @Test func aMachineRefusesItsAppsLittle() throws {
        let machine = try machineFilter()
        let apps = try filter([], .current)
        let names = apps.syscalls.filter { $0.action == "SCMP_ACT_ALLOW" && $0.args == nil }.flatMap(\.names)
        let refused = names.filter { refusal($0, in: machine) == 1 }
        let known: Set = ["fanotify_mark", "memfd_secret", "modify_ldt", "pkey_alloc", "pkey_free", "pkey_mprotect"]
        #expect(known.isSuperset(of: refused))
    }

    @Test func noCallIsBothAllowedAndRefusedInAMachine() throws {
        var seen: Set<String> = []
        for rule in try machineFilter().syscalls where rule.names != ["socket"] {
            for name in rule.names { #expect(seen.insert(name).inserted, "\(name)") }
        }
    }
}
