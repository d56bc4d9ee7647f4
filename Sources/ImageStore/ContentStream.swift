internal import CLinux
internal import Diagnostics
internal import Glibc
package import LinuxOS
package import Manifests

/// The ways a stream can be compressed, told by its first bytes.
package enum Compression: CInt, Sendable {
    case none = 0
    case gzip = 1
    case bzip2 = 2
    case xz = 3
    case zstd = 4

    /// The compression of content that starts with `bytes`.
    package init(of bytes: [UInt8]) {
        if bytes.starts(with: [0x1f, 0x8b]) {
            self = .gzip
        } else if bytes.starts(with: [0x42, 0x5a, 0x68]) {
            self = .bzip2
        } else if bytes.starts(with: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) {
            self = .xz
        } else if bytes.starts(with: [0x28, 0xb5, 0x2f, 0xfd]) || Compression.isSkippableFrame(bytes) {
            self = .zstd
        } else {
            self = .none
        }
    }

    private static func isSkippableFrame(_ bytes: [UInt8]) -> Bool {
        bytes.count >= 4 && bytes[0] & 0xf0 == 0x50 && bytes[1...3].elementsEqual([0x2a, 0x4d, 0x18])
    }
}

extension RktError {
    /// Content that is not what its digest says.
    static func wrongDigest(
        of name: String,
        _ found: Manifests.Digest,
        not promised: Manifests.Digest
    ) -> RktError {
        RktError(.digestMismatch, "\(name) has the digest \(found), not \(promised)")
    }
}

/// One pass over a file: reads it, hashes it, copies it if asked to, decompresses it, hashes that, and hands it on.
///
/// The whole file is read, also what follows the end of the compressed stream: the digest is that of the file.
package final class ContentStream {
    /// What a pass found out.
    package struct Result: Sendable {
        /// The file's size in bytes.
        package var size: Int64 = 0
        /// The file's digest.
        package var digest: Manifests.Digest
        /// The size of the decompressed stream in bytes.
        package var contentSize: Int64 = 0
        /// The digests of the decompressed stream, in the order asked for.
        package var contentDigests: [Manifests.Digest]
        /// Whether the decompressed stream ends with 512 zero bytes, as every whole tar does.
        package var endsWithZeros: Bool
    }

    private let source: CInt
    private let copy: BlobCopy?
    private let name: String
    private let limits: ImageLimits
    private let progress: ProgressSink?
    private let total: Int64?
    private let expected: Manifests.Digest?
    /// Two, used in turn: one is filled while the other is hashed.
    private var buffers = (free: ContentStream.newBuffer(), last: ContentStream.newBuffer())
    private let algorithms: (file: Manifests.Digest.Algorithm, content: [Manifests.Digest.Algorithm])
    private let hash: HashLane
    private var contentHashes: [HashLane] = []
    private var size: Int64 = 0
    private var contentSize: Int64 = 0
    private var zeros: Int64 = 0
    private var failure: (any Error)?

    /// Prepares a pass.
    ///
    /// - Parameters:
    ///   - source: The file, read from where it is.
    ///   - copy: Where to write the file's bytes to.
    ///   - name: What it is, for errors and progress.
    ///   - algorithms: The hash functions for the file and for the decompressed stream.
    ///   - limits: The limits.
    ///   - total: The size to be expected, for progress.
    ///   - expected: The digest that the file should have: when it cannot be decompressed, that it is another file is
    ///     the reason to give.
    ///   - progress: Hears how far it is.
    package init(
        source: borrowing OwnedFD,
        copy: BlobCopy? = nil,
        name: String,
        algorithms: (file: Manifests.Digest.Algorithm, content: [Manifests.Digest.Algorithm]),
        limits: ImageLimits,
        total: Int64? = nil,
        expected: Manifests.Digest? = nil,
        progress: ProgressSink? = nil
    ) {
        self.source = source.rawValue
        self.copy = copy
        self.name = name
        self.limits = limits
        self.total = total
        self.expected = expected
        self.progress = progress
        self.algorithms = algorithms
        hash = HashLane(algorithms.file, size: total ?? 0)
    }

    deinit {
        settle()
        buffers.free.deallocate()
        buffers.last.deallocate()
    }

    private static func newBuffer() -> UnsafeMutableRawBufferPointer {
        .allocate(byteCount: 256 << 10, alignment: 64)
    }

    /// Makes the pass.
    ///
    /// - Parameters:
    ///   - compression: The file's compression; nil to go by the first bytes.
    ///   - sink: Takes the decompressed stream, piece by piece.
    /// - Returns: What was found out.
    /// - Throws: ``RktError`` with `invalidData` for a damaged stream, `limitExceeded`, or what reading, copying and
    ///   `sink` throw.
    package func run(
        _ compression: Compression? = nil,
        sink: ((UnsafeRawBufferPointer) throws -> Void)? = nil
    ) throws -> Result {
        let kind = try compression ?? ContentStream.compression(of: source, name: name)
        if kind != .none { try ArchiveSupport.load() }
        // Of what is not compressed, the file's digest is the content's.
        let isHashedOnce = kind == .none && algorithms.content.allSatisfy { $0 == algorithms.file }
        if !isHashedOnce { contentHashes = algorithms.content.map { HashLane($0, size: total ?? 0) } }
        let context = Unmanaged.passUnretained(self).toOpaque()
        let read: rkt_source = { context, bytes in
            guard let context else { return -1 }
            return Unmanaged<ContentStream>.fromOpaque(context).takeUnretainedValue().next(bytes)
        }
        guard let decoder = rkt_decoder_new(kind.rawValue, read, context) else {
            throw RktError(.missingDependency, "\(name): libarchive cannot decompress \(kind)")
        }
        defer {
            settle()
            rkt_decoder_free(decoder)
        }
        var bytes: UnsafeRawPointer?
        while true {
            let count = rkt_decoder_next(decoder, &bytes)
            if let failure { throw failure }
            guard count >= 0 else { throw try damage(String(cString: rkt_decoder_error(decoder))) }
            if count == 0 { break }
            try take(UnsafeRawBufferPointer(start: bytes, count: count), sink)
            // The decoder writes where it has written now.
            for hash in contentHashes { hash.settle() }
        }
        let digest = try digestOfAll()
        // What is not compressed ends with its file: what came later is in the digest, and nobody has got it.
        guard kind != .none || size == contentSize else {
            throw RktError(.invalidData, "\(name) grew while it was read")
        }
        return Result(
            size: size,
            digest: digest,
            contentSize: contentSize,
            contentDigests: isHashedOnce
                ? algorithms.content.map { _ in digest } : try contentHashes.map { try $0.finish() },
            endsWithZeros: zeros >= 512
        )
    }

    /// The file's digest, once what follows the compressed stream is read too: it belongs to the file.
    private func digestOfAll() throws -> Manifests.Digest {
        var bytes: UnsafeRawPointer?
        while next(&bytes) > 0 {}
        if let failure { throw failure }
        return try withContext("reading \(name)") { try hash.finish() }
    }

    /// Why a file cannot be decompressed: first of all, that it is not the one it should be.
    private func damage(_ reason: String) throws -> RktError {
        if let expected {
            let digest = try digestOfAll()
            if digest != expected { return .wrongDigest(of: name, digest, not: expected) }
        }
        return RktError(.invalidData, "\(name) is damaged: \(reason)")
    }

    private func take(_ piece: UnsafeRawBufferPointer, _ sink: ((UnsafeRawBufferPointer) throws -> Void)?) throws {
        contentSize += Int64(piece.count)
        guard contentSize <= Int64(limits.unpackedBytes) else {
            throw RktError(.limitExceeded, "\(name) decompresses to more than \(limits.unpackedBytes) bytes")
        }
        if contentSize > limits.ratioFloor, contentSize / limits.compressionRatio > size {
            throw RktError(
                .limitExceeded,
                "\(name) decompresses to more than \(limits.compressionRatio) times its size"
            )
        }
        for hash in contentHashes { hash.update(piece) }
        let tail = piece.reversed().prefix(512).prefix { $0 == 0 }.count
        zeros = tail == piece.count ? zeros + Int64(tail) : Int64(tail)
        try sink?(piece)
    }

    /// Waits until no buffer is being hashed any more.
    private func settle() {
        hash.settle()
        for hash in contentHashes { hash.settle() }
    }

    private func next(_ bytes: UnsafeMutablePointer<UnsafeRawPointer?>) -> Int {
        do {
            let buffer = buffers.free
            buffers = (buffers.last, buffer)
            let count = try system("reading \(name)") { read(source, buffer.baseAddress, buffer.count) }
            let piece = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            size += Int64(count)
            guard size <= limits.blobBytes else {
                throw RktError(.limitExceeded, "\(name) is larger than \(limits.blobBytes) bytes")
            }
            hash.update(piece)
            try copy?.write(piece, name: "the copy of \(name)")
            progress?(name, size, total)
            bytes.pointee = piece.baseAddress
            return count
        } catch {
            failure = error
            return -1
        }
    }

    /// The compression of a file or a ``LocalStream``, by its first bytes, which stay to be read.
    package static func compression(of file: CInt, name: String) throws -> Compression {
        var first = [UInt8](repeating: 0, count: 8)
        var status = stat()
        try system("looking at \(name)") { fstat(file, &status) }
        if status.st_mode & S_IFMT == S_IFSOCK {
            // Whoever writes there writes so many at once, or all there are.
            let count = try system("reading \(name)") { recv(file, &first, 8, CInt(MSG_PEEK)) }
            return Compression(of: [UInt8](first[..<count]))
        }
        let offset = try system("reading \(name)") { lseek(file, 0, SEEK_CUR) }
        let count = try system("reading \(name)") { pread(file, &first, 8, offset) }
        return Compression(of: [UInt8](first[..<count]))
    }
}
