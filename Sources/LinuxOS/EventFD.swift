internal import CLinux
internal import Diagnostics
internal import Glibc

/// A wake-up for a thread that polls, from any other thread.
public struct EventFD: ~Copyable, Sendable {
    /// The descriptor; readable between a ``signal()`` and the next ``clear()``.
    public let descriptor: OwnedFD

    /// Makes a wake-up that is not signalled.
    ///
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public init() throws {
        descriptor = OwnedFD(taking: try system("making an eventfd") { rkt_eventfd(0) })
    }

    /// Makes the descriptor readable; any number of signals count as one.
    public borrowing func signal() {
        var one: UInt64 = 1
        // Takes eight bytes whole, or is full, and then it is readable already.
        _ = write(descriptor.rawValue, &one, 8)
    }

    /// Makes the descriptor unreadable.
    public borrowing func clear() {
        var count: UInt64 = 0
        // Never blocks: the descriptor is made non-blocking.
        _ = read(descriptor.rawValue, &count, 8)
    }
}
