internal import Glibc
internal import LinuxOS
internal import Synchronization

/// Runs a body for each element on threads, as many at once as there are processors: the work is reading, hashing and
/// waiting for children, which has no place on the threads of Swift's concurrency.
///
/// - Parameters:
///   - elements: The elements.
///   - body: What to do with each.
/// - Returns: The results in the order of the elements.
/// - Throws: The error of the first element, in order, that failed; elements not yet begun are left out then.
package func concurrently<Element: Sendable, Value: Sendable>(
    _ elements: [Element],
    _ body: @escaping @Sendable (Element) throws -> Value
) throws -> [Value] {
    guard elements.count > 1 else { return try elements.map(body) }
    let results = Mutex<(next: Int, values: [Int: Result<Value, any Error>])>((0, [:]))
    let work: @Sendable () -> Void = {
        while true {
            let index = results.withLock { state -> Int? in
                let hasFailed = state.values.values.contains { if case .failure = $0 { true } else { false } }
                guard state.next < elements.count, !hasFailed else { return nil }
                state.next += 1
                return state.next - 1
            }
            guard let index else { return }
            let result = Result { try body(elements[index]) }
            results.withLock { $0.values[index] = result }
        }
    }
    let others = min(elements.count, max(1, sysconf(CInt(_SC_NPROCESSORS_ONLN)))) - 1
    // Where there are no more threads, the others do their part.
    let threads = (0..<others).compactMap { _ in try? OwnThread.startJoined(work) }
    work()
    for join in threads { join() }
    return try results.withLock { state in
        for (_, result) in state.values.sorted(by: { $0.key < $1.key }) { _ = try result.get() }
        return try state.values.sorted { $0.key < $1.key }.map { try $0.value.get() }
    }
}
