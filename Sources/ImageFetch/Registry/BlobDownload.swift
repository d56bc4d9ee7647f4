internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Synchronization

/// A download that is read as a file is, by a socket: while one thread gets it, another one checks, unpacks and stores it.
final class BlobDownload: Sendable {
    /// How many bytes tell how content is compressed.
    private static let beginning = 8

    private let outcome = Mutex<Result<Void, any Error>?>(nil)
    /// Begins a download.
    ///
    /// - Parameters:
    ///   - name: What it is, for errors.
    ///   - body: Gets it, and hands on what it gets.
    /// - Returns: What the store reads.
    /// - Throws: `RktError` when the process has no descriptor or thread left.
    static func start(
        name: String,
        _ body: @escaping @Sendable (_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> BlobSource {
        let download = BlobDownload()
        let stream = try LocalStream(capacity: 1 << 20)
        let reader = stream.takeReader()
        try OwnThread.start {
            let result = Result {
                // Who reads looks at the first bytes, without waiting for more than there are.
                var first: [UInt8]? = []
                try body { piece in
                    guard let held = first else { return try stream.send(piece, name: name) }
                    let beginning = held + piece
                    first = beginning.count < Self.beginning ? beginning : nil
                    if first == nil { try beginning.withUnsafeBytes { try stream.send($0, name: name) } }
                }
                try first?.withUnsafeBytes { try stream.send($0, name: name) }
            }
            download.outcome.withLock { $0 = result }
            // Only now the reader comes to the end, and asks how it was.
            stream.finish()
        }
        return BlobSource(reader) { try download.check() }
    }

    /// Throws what the download has failed with, if it has.
    private func check() throws {
        try outcome.withLock { try $0?.get() }
    }
}
