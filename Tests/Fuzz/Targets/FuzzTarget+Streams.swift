internal import CLinux
internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Manifests

extension FuzzTarget {
    private static let limit: UInt64 = 4 << 20

    /// Compressed streams: nothing comes out beyond the limit, and everything that went in is accounted for.
    static let stream = FuzzTarget("stream", shortRun: 3_000) { bytes in
        let file = OwnedFD(taking: rkt_memfd("stream"))
        try file.writeAll(bytes, name: "the stream")
        lseek(file.rawValue, 0, SEEK_SET)
        var limits = ImageLimits()
        limits.unpackedBytes = limit
        let stream = ContentStream(source: file, name: "a stream", algorithms: (.sha256, [.sha256]), limits: limits)
        var count: UInt64 = 0
        var content = ContentHash(.sha256)
        let result = try stream.run { piece in
            count += UInt64(piece.count)
            content.update(piece)
            try require(count <= limit, "\(count) bytes came out")
        }
        try require(result.size == Int64(bytes.count), "\(result.size) of \(bytes.count) bytes were read")
        try require(result.contentSize == Int64(count), "\(result.contentSize) bytes are said, \(count) came")
        try require(try result.digest == ContentHash.digest(.sha256, of: bytes), "the digest is another's")
        try require(try result.contentDigests == [content.finish()], "the content's digest is another's")
    }
}
