internal import Manifests

/// A filter of system calls, as the OCI runtime configuration has it.
///
/// A refused call fails with EPERM instead of killing the app, as today's C libraries try newer calls first.
struct SeccompProfile {
    struct Rule {
        struct Argument {
            var index: UInt32
            var value: UInt64
            var valueTwo: UInt64 = 0
            var op: String
        }

        var names: [String]
        var action = "SCMP_ACT_ALLOW"
        var errnoRet: UInt32?
        var args: [Argument]?
    }

    var defaultAction = "SCMP_ACT_ERRNO"
    var defaultErrnoRet: UInt32 = 1
    var architectures: [String]
    var syscalls: [Rule]

    /// The flags of clone(2) that make namespaces.
    private static let namespaceFlags: UInt64 = 0x7E02_0000
    private static let noSuchCall: UInt32 = 38
    /// Linux, 32-bit Linux, each also as release 2.6, and the question which it is.
    private static let personalities: [UInt64] = [0, 8, 0x20000, 0x20008, 0xFFFF_FFFF]
    private static let cryptographySockets: UInt64 = 38
    private static let hypervisorSockets: UInt64 = 40

    /// Makes the filter for an app.
    ///
    /// - Parameters:
    ///   - capabilities: The app's capabilities: some allow calls that need them anyway.
    ///   - architecture: The machine's.
    init(capabilities: [Capability], architecture: MachineArchitecture) {
        architectures = architecture.seccompNames
        var allowed = SystemCalls.common + SystemCalls.forArchitecture(architecture)
        for capability in capabilities { allowed += SystemCalls.byCapability[capability.description] ?? [] }
        // One rule for all that depends on nothing: the runtime makes a program of the rules at each start.
        var seen: Set<String> = []
        syscalls = [Rule(names: allowed.filter { seen.insert($0).inserted })]
        syscalls += Self.personalities.map { value in
            Rule(names: ["personality"], args: [Rule.Argument(index: 0, value: value, op: "SCMP_CMP_EQ")])
        }
        syscalls += Self.sockets
        // Who may make namespaces has both calls already.
        guard !seen.contains("clone") else { return }
        let plain = Rule.Argument(index: 0, value: Self.namespaceFlags, op: "SCMP_CMP_MASKED_EQ")
        syscalls.append(Rule(names: ["clone"], args: [plain]))
        // Its flags are in memory, where no filter looks; without it libraries use clone.
        syscalls.append(Rule(names: ["clone3"], action: "SCMP_ACT_ERRNO", errnoRet: Self.noSuchCall))
    }

    /// Makes the filter for all of a pod that is a machine: what no list has does not exist.
    ///
    /// - Parameter architecture: The machine's.
    init(forMachineOn architecture: MachineArchitecture) {
        // A call of the third kind that x86 has is refused too, instead of the caller's end.
        architectures = architecture.seccompNames + (architecture == .x86 ? ["SCMP_ARCH_X32"] : [])
        defaultErrnoRet = Self.noSuchCall
        let isNetlink = Rule.Argument(index: 0, value: Self.netlinkSockets, op: "SCMP_CMP_EQ")
        let isOther = Rule.Argument(index: 0, value: Self.netlinkSockets, op: "SCMP_CMP_NE")
        let isAudit = Rule.Argument(index: 2, value: Self.auditProtocol, op: "SCMP_CMP_EQ")
        let isNoAudit = Rule.Argument(index: 2, value: Self.auditProtocol, op: "SCMP_CMP_NE")
        syscalls = [
            Rule(names: MachineSystemCalls.allowed),
            Rule(names: MachineSystemCalls.refused, action: "SCMP_ACT_ERRNO", errnoRet: 1),
            Rule(names: ["socket"], args: [isOther]),
            Rule(names: ["socket"], args: [isNetlink, isNoAudit]),
            // Audit is the host's: programs take this for a kernel without.
            Rule(names: ["socket"], action: "SCMP_ACT_ERRNO", errnoRet: Self.noSuchFamily, args: [isNetlink, isAudit]),
        ]
    }

    private static let netlinkSockets: UInt64 = 16
    private static let auditProtocol: UInt64 = 9
    private static let noSuchFamily: UInt32 = 97

    /// All families but the kernel's cryptography, a frequent way to its flaws, and the hypervisor's sockets, which no
    /// network namespace holds back.
    private static var sockets: [Rule] {
        let bounds = [
            (cryptographySockets, "SCMP_CMP_LT"), (cryptographySockets + 1, "SCMP_CMP_EQ"),
            (hypervisorSockets, "SCMP_CMP_GT"),
        ]
        return bounds.map { value, comparison in
            Rule(names: ["socket"], args: [Rule.Argument(index: 0, value: value, op: comparison)])
        }
    }
}

// MARK: JSON

extension SeccompProfile {
    var json: JSONText {
        .object([
            ("defaultAction", .string(defaultAction)), ("defaultErrnoRet", .number(Int(defaultErrnoRet))),
            ("architectures", .strings(architectures)), ("syscalls", .list(syscalls.map(\.json))),
        ])
    }
}

extension SeccompProfile.Rule {
    fileprivate var json: JSONText {
        .object([
            ("names", .strings(names)), ("action", .string(action)), ("errnoRet", errnoRet.map { .number(Int($0)) }),
            ("args", args.map { .list($0.map(\.json)) }),
        ])
    }
}

extension SeccompProfile.Rule.Argument {
    fileprivate var json: JSONText {
        .object([
            ("index", .number(Int(index))), ("value", .number(Int(value))), ("valueTwo", .number(Int(valueTwo))),
            ("op", .string(op)),
        ])
    }
}

extension MachineArchitecture {
    /// The architecture and the older one whose programs its kernels run as well, as libseccomp calls them.
    ///
    /// Each costs the OCI runtime 5 ms at each start of an app. So x32 is not among them: nothing is built for it, and
    /// libseccomp's filter for 64-bit x86 refuses its calls.
    fileprivate var seccompNames: [String] {
        switch self {
        case .x86: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        case .arm: ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        }
    }
}
