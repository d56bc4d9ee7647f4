internal import Diagnostics
internal import Synchronization

/// The reply to a call that is on its way: what ``DBusConnection/start(_:timeout:)`` returns.
public final class DBusPendingReply: Sendable {
    private typealias Outcome = Result<[DBusValue], any Error>

    private enum State {
        case open
        case awaited(CheckedContinuation<[DBusValue], any Error>)
        case done(Outcome)
    }

    private let state = Mutex(State.open)
    private let name: String

    init(name: String) {
        self.name = name
    }

    /// Waits for the reply; may be called again once it has returned, but by one task at a time.
    ///
    /// - Returns: The reply's arguments.
    /// - Throws: `RktError`: with a ``DBusError`` as its cause when the service answered with an error, `timeout` when
    ///   the call's deadline passed, `unavailable` when the connection ended, `cancelled` when the task was cancelled.
    public func value() async throws -> [DBusValue] {
        try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let outcome: Outcome? = state.withLock { state in
                    switch state {
                    case .open:
                        state = .awaited(continuation)
                        return nil
                    case .awaited:
                        return .failure(RktError(.wrongState, "two tasks wait for the reply to \(name)"))
                    case .done(let outcome):
                        return outcome
                    }
                }
                if let outcome { continuation.resume(with: outcome) }
            }
        } onCancel: {
            complete(.failure(RktError(.cancelled, "waiting for the reply to \(name) was cancelled")))
        }
    }

    /// Gives the outcome; only the first one counts.
    func complete(_ outcome: Result<[DBusValue], any Error>) {
        let waiter: CheckedContinuation<[DBusValue], any Error>? = state.withLock { state in
            switch state {
            case .open:
                state = .done(outcome)
                return nil
            case .awaited(let continuation):
                state = .done(outcome)
                return continuation
            case .done:
                return nil
            }
        }
        waiter?.resume(with: outcome)
    }
}
