import Synchronization

/// Counts calls from several threads.
final class AtomicCount: Sendable {
    private let count = Atomic(0)

    /// The number of this call, from 1.
    func next() -> Int { count.add(1, ordering: .relaxed).newValue }
}
