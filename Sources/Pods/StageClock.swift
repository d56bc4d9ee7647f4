internal import Synchronization

/// Tells the stages of an operation and their lengths, for `--debug`.
public final class StageClock: Sendable {
    private let last: Mutex<ContinuousClock.Instant>
    private let report: (@Sendable (String, Duration) -> Void)?

    /// Starts the clock.
    ///
    /// - Parameter report: Called at the end of each stage with its name and length; nil to measure nothing.
    public init(report: (@Sendable (String, Duration) -> Void)?) {
        last = Mutex(.now)
        self.report = report
    }

    /// Ends a stage.
    ///
    /// - Parameter name: What was done since the last mark.
    public func mark(_ name: String) {
        guard let report else { return }
        let length = last.withLock { last in
            let now = ContinuousClock.now
            defer { last = now }
            return now - last
        }
        report(name, length)
    }
}
