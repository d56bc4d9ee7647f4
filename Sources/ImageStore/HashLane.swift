internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests
internal import Synchronization

/// A digest of a stream that is made on a thread of its own where that pays: SHA-512 is most of the time that an appc image
/// takes.
///
/// A piece is hashed where it lies: whoever hands it over leaves it alone until the next one is taken, or all is settled.
final class HashLane {
    /// So many bytes are hashed right away, as a thread costs more.
    private static let threshold = 1 << 20

    private let paysThread: Bool
    private var hash: ContentHash
    private var total = 0
    private var thread: HashThread?

    /// Starts a digest.
    ///
    /// - Parameters:
    ///   - algorithm: The hash function.
    ///   - size: About how many bytes will come, if that is known.
    init(_ algorithm: Digest.Algorithm, size: Int64 = 0) {
        hash = ContentHash(algorithm, size: size)
        // For the other, processors have instructions.
        paysThread = algorithm == .sha512
    }

    /// Takes in the next bytes, once those before are hashed.
    func update(_ piece: UnsafeRawBufferPointer) {
        if let thread { return thread.give(piece) }
        hash.update(piece)
        total += piece.count
        // Where there is no thread to be had, it goes on like this.
        if paysThread, total >= Self.threshold { thread = try? HashThread(hash) }
    }

    /// Waits until all that was taken is hashed.
    func settle() { thread?.settle() }

    /// The digest of all bytes.
    func finish() throws -> Digest { try (try thread?.state() ?? hash).finish() }
}

/// Hashes one piece at a time, and ends when it is let go of.
private final class HashThread {
    private let job: HashJob
    private let join: @Sendable () -> Void
    private var requests: OwnedFD?
    private var isBusy = false
    private var failure: (any Error)?

    init(_ hash: ContentHash) throws {
        let job = HashJob(hash, requests: try Pipe(), answers: try Pipe())
        self.job = job
        join = try OwnThread.startJoined { job.run() }
        requests = job.requests.takeWriter()
    }

    deinit {
        // It reads the end of its requests, after the piece that it is at.
        requests = nil
        join()
    }

    func give(_ piece: UnsafeRawBufferPointer) {
        settle()
        job.piece.withLock { $0 = (UInt(bitPattern: piece.baseAddress), piece.count) }
        var byte: UInt8 = 0
        let raw = requests?.rawValue ?? -1
        do {
            isBusy = try system("hashing") { write(raw, &byte, 1) } == 1
        } catch {
            failure = error
        }
    }

    func settle() {
        guard isBusy else { return }
        var byte: UInt8 = 0
        isBusy = false
        do {
            let count = try system("hashing") { read(job.answers.reader.rawValue, &byte, 1) }
            if count == 0 { throw RktError(.failed, "hashing: the thread for it has ended") }
        } catch {
            failure = error
        }
    }

    /// The digest so far, if no piece is missing.
    func state() throws -> ContentHash {
        settle()
        if let failure { throw failure }
        return job.hash.withLock { $0 }
    }
}

private final class HashJob: Sendable {
    let hash: Mutex<ContentHash>
    let piece = Mutex<(address: UInt, count: Int)>((0, 0))
    /// A byte for each piece, and one back when it is hashed.
    let requests: Pipe
    let answers: Pipe

    init(_ hash: ContentHash, requests: Pipe, answers: Pipe) {
        self.hash = Mutex(hash)
        self.requests = requests
        self.answers = answers
    }

    func run() {
        let answer = answers.takeWriter()
        var byte: UInt8 = 0
        while (try? system("hashing") { read(requests.reader.rawValue, &byte, 1) }) == 1 {
            let (address, count) = piece.withLock { $0 }
            hash.withLock {
                $0.update(UnsafeRawBufferPointer(start: UnsafeRawPointer(bitPattern: address), count: count))
            }
            _ = try? system("hashing") { write(answer.rawValue, &byte, 1) }
        }
    }
}
