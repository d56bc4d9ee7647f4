internal import Diagnostics
internal import CLinux
internal import Glibc

/// A process, held by descriptor: it cannot be mistaken for a later one with the same number.
public struct PidFD: ~Copyable, Sendable {
    /// The descriptor; readable once the process has ended.
    public let descriptor: OwnedFD

    /// Takes hold of a process.
    ///
    /// - Parameter pid: Its number; it may have ended but must not have been reaped.
    /// - Throws: ``RktError`` with `io` (ESRCH) when there is no such process.
    public init(pid: Int32) throws {
        descriptor = OwnedFD(taking: try system("opening process \(pid)") { rkt_pidfd_open(pid, 0) })
    }

    /// Sends a signal.
    ///
    /// - Parameter signal: The signal's number.
    /// - Throws: ``RktError`` when the process is gone or not ours to signal.
    public borrowing func send(_ signal: CInt) throws {
        let raw = descriptor.rawValue
        try system("signalling a process") { rkt_pidfd_send_signal(raw, signal) }
    }
}
