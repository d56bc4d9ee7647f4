/// The processor a pod runs on, which decides what system calls there are.
public enum MachineArchitecture: Sendable, Hashable {
    /// 64-bit x86.
    case x86
    /// 64-bit ARM.
    case arm

    /// The one this program was built for.
    public static var current: Self {
        #if arch(arm64)
        .arm
        #else
        .x86
        #endif
    }
}
