@preconcurrency internal import Dispatch
internal import Glibc

/// Signals to this process, as they come.
enum SignalStream {
    /// Catches signals from now on.
    ///
    /// - Parameter signals: The signals; their default action does not happen any more.
    /// - Returns: An element for each signal that came.
    static func catching(_ signals: [Int32]) -> AsyncStream<Int32> {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        let sources = signals.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield(number) }
            source.resume()
            return source
        }
        continuation.onTermination = { _ in
            for source in sources { source.cancel() }
        }
        return stream
    }
}
