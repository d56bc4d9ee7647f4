internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Synchronization

/// A download that is read as a file is, by a socket: while one thread gets it, another one checks, unpacks and stores
/// it. It ends when nobody reads it any more.
final class BlobDownload: Sendable {
    /// How many bytes tell how content is compressed.
    private static let beginning = 8

    private let outcome = Mutex<Result<Void, any Error>?>(nil)
    private let stream: LocalStream

    private init() throws {
        stream = try LocalStream(capacity: 1 << 20)
    }

    /// Begins a download.
    ///
    /// - Parameters:
    ///   - name: What it is, for errors.
    ///   - group: Waits for its end.
    ///   - body: Gets it, and hands on what it gets; gets where that goes.
    /// - Returns: What the store reads.
    /// - Throws: `RktError` when the process has no descriptor or thread left.
    static func start(
        name: String,
        in group: DownloadGroup,
        _ body:
            @escaping @Sendable (LocalStream, _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws -> BlobSource {
        let download = try BlobDownload()
        let stream = download.stream
        let reader = stream.takeReader()
        let join = try OwnThread.startJoined {
            let result = Result {
                // Who reads looks at the first bytes, without waiting for more than there are.
                var first: [UInt8]? = []
                try body(stream) { piece in
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
        group.add(stream, join)
        return BlobSource(reader) { try download.check() }
    }

    /// Throws what the download has failed with, if it has.
    private func check() throws {
        try outcome.withLock { try $0?.get() }
    }
}

/// The downloads of one image.
final class DownloadGroup: Sendable {
    private let running = Mutex<[(stream: LocalStream, join: @Sendable () -> Void)]>([])

    fileprivate func add(_ stream: LocalStream, _ join: @escaping @Sendable () -> Void) {
        running.withLock { $0.append((stream, join)) }
    }

    /// Ends those that still run, and waits until none does.
    func end() {
        let all = running.withLock { running in
            defer { running = [] }
            return running
        }
        for download in all { download.stream.abandon() }
        for download in all { download.join() }
    }
}
