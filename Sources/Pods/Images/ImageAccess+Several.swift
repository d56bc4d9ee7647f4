internal import Diagnostics
public import ImageStore
internal import Synchronization

extension ImageAccess {
    /// Gets several images into the store, some of them at the same time.
    ///
    /// - Parameters:
    ///   - texts: The images, as the user wrote them; one that is named twice is got once.
    ///   - signature: The path of their detached signature.
    ///   - acceptsID: Whether a text may be an image id.
    ///   - report: Hears what became of each, in the order they were named, as soon as that is known of all before it.
    /// - Throws: ``RktError`` when no thread can be made; what is wrong with an image is its result.
    public func obtain(
        _ texts: [String],
        signature: String? = nil,
        acceptsID: Bool = true,
        report: @escaping @Sendable (_ text: String, _ result: Result<ImageRecord, any Error>) -> Void
    ) throws {
        var seen: Set<String> = []
        let distinct = texts.filter { seen.insert($0).inserted }
        let state = Mutex<(told: Int, results: [String: Result<ImageRecord, any Error>])>((0, [:]))
        _ = try concurrently(distinct) { text in
            let result = Result { try obtain(text, signature: signature, acceptsID: acceptsID) }
            state.withLock { state in
                state.results[text] = result
                while state.told < texts.count, let next = state.results[texts[state.told]] {
                    report(texts[state.told], next)
                    state.told += 1
                }
            }
        }
    }
}
