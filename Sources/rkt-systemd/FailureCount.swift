internal import Synchronization

/// Counts failures that are told as they happen.
final class FailureCount: Sendable {
    private let number = Mutex(0)

    /// How many there were.
    var count: Int { number.withLock { $0 } }

    /// One more.
    func add() { number.withLock { $0 += 1 } }
}
