internal import Diagnostics

/// Feeds a stream to an unpacker until that has enough, and keeps what it says for when the whole stream was seen.
///
/// Reading on is what tells a wrong archive from a damaged one: the digest comes last. Only a reached limit stops at
/// once.
final class TarFeed {
    private let unpacker: TarUnpacker
    private var outcome: Result<TarUnpacker.Report, any Error>?

    init(_ unpacker: TarUnpacker) {
        self.unpacker = unpacker
    }

    func take(_ bytes: UnsafeRawBufferPointer) throws {
        guard outcome == nil, !(try unpacker.take(bytes)) else { return }
        let result = Result { try unpacker.finish() }
        outcome = result
        if case .failure(let error as RktError) = result, error.code != .invalidData { throw error }
    }

    @discardableResult
    func finish() throws -> TarUnpacker.Report {
        if let outcome { return try outcome.get() }
        let result = Result { try unpacker.finish() }
        outcome = result
        return try result.get()
    }
}
