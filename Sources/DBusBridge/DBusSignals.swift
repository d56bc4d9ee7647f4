internal import Diagnostics

/// Signals in the order they arrive.
///
/// The match is in force from before the stream was returned until the stream, its copies and iterators are gone.
/// What is not read is kept up to a bound. One task reads at a time.
public struct DBusSignals: AsyncSequence, Sendable {
    /// What the sequence is made of.
    public typealias Element = DBusSignal

    let stream: AsyncThrowingStream<DBusSignal, any Error>
    /// Keeps the connection open while somebody reads from it.
    let connection: DBusConnection

    /// Makes an iterator.
    ///
    /// - Returns: The iterator.
    public func makeAsyncIterator() -> Iterator {
        Iterator(base: stream.makeAsyncIterator(), connection: connection)
    }

    /// Reads signals.
    public struct Iterator: AsyncIteratorProtocol {
        var base: AsyncThrowingStream<DBusSignal, any Error>.Iterator
        let connection: DBusConnection

        /// Waits for the next signal.
        ///
        /// - Returns: The signal; never nil: a stream ends with an error.
        /// - Throws: `RktError` with `unavailable` when the connection ended, `limitExceeded` when more signals came
        ///   than were read and kept, `timeout` when the stream's deadline passed, `invalidData` when a signal cannot
        ///   be decoded, `cancelled` when the task was cancelled.
        public mutating func next() async throws -> DBusSignal? {
            if let signal = try await base.next() { return signal }
            throw RktError(.cancelled, "waiting for a D-Bus signal was cancelled")
        }
    }
}
