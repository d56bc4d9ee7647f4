/// A Linux capability, by its name with `CAP_`.
public struct Capability: Sendable, Hashable, CustomStringConvertible {
    /// The name.
    public let description: String

    /// All capabilities of today's kernels, in the order of their numbers.
    public static let all: [Capability] = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ].map { Capability(known: "CAP_\($0)") }

    /// What an app has unless something else is asked for, as with rkt 1.30.
    public static let defaults: [Capability] = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "KILL", "MKNOD", "NET_RAW", "NET_BIND_SERVICE",
        "SETUID", "SETGID", "SETPCAP", "SETFCAP", "SYS_CHROOT",
    ].map { Capability(known: "CAP_\($0)") }

    /// Reads a capability's name.
    ///
    /// - Parameter text: The name, in any case, with or without `CAP_`; an unknown one gives nil.
    public init?(_ text: String) {
        let upper = text.uppercased()
        let name = upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
        guard let found = Self.all.first(where: { $0.description == name }) else { return nil }
        self = found
    }

    private init(known name: String) {
        description = name
    }
}
