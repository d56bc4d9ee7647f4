internal import Synchronization

/// Makes one progress of an image, or of several, out of those of its layers.
package final class ImageProgress: Sendable {
    private let name: String
    private let report: ProgressSink
    private let state = Mutex(State())

    private struct State {
        /// How many bytes of each layer are done.
        var done: [String: Int64] = [:]
        var total: Int64?
    }

    /// - Parameters:
    ///   - name: The image.
    ///   - report: Hears how far it is.
    package init(_ name: String, _ report: @escaping ProgressSink) {
        self.name = name
        self.report = report
    }

    /// Says how many bytes are to be read of all layers together.
    package func expect(_ total: Int64) { state.withLock { $0.total = total } }

    /// What hears how far a layer is.
    package var sink: ProgressSink {
        { [self] layer, done, _ in
            let (sum, total) = state.withLock { state in
                state.done[layer] = done
                return (state.done.values.reduce(0, +), state.total)
            }
            report(name, sum, total)
        }
    }
}
