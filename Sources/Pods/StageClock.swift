internal import Synchronization

/// Takes down the stages of an operation and their lengths, for `--debug`.
public final class StageClock: Sendable {
    private struct State {
        var last: ContinuousClock.Instant
        var stages: [(name: String, length: Duration)] = []
    }

    private let state: Mutex<State>
    private let report: (@Sendable (String, Duration) -> Void)?

    /// Starts the clock.
    ///
    /// - Parameter report: Called at the end of each stage with its name and length; nil to measure nothing.
    public init(report: (@Sendable (String, Duration) -> Void)?) {
        state = Mutex(State(last: .now))
        self.report = report
    }

    /// Ends a stage.
    ///
    /// - Parameter name: What was done since the last mark.
    public func mark(_ name: String) {
        guard let report else { return }
        let length = state.withLock { state in
            let now = ContinuousClock.now
            defer { state.last = now }
            return now - state.last
        }
        report(name, length)
    }
}
