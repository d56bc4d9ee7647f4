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

    /// Waits until a process has ended.
    ///
    /// - Parameters:
    ///   - pid: Its number; no process of that is none that lives.
    ///   - timeout: How long to wait.
    /// - Returns: Whether it has ended.
    public static func waitForEnd(of pid: Int32, timeout: Duration) async -> Bool {
        if pid <= 0 { return true }
        let ended = try? await OwnThread.run { interruption in
            guard let process = try? PidFD(pid: pid) else { return true }
            return try interruption.wait(for: process.descriptor.rawValue, until: .now + timeout)
        }
        return ended ?? false
    }
}
