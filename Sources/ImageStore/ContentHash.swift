internal import CLinux
internal import Crypto
internal import Diagnostics
package import Manifests

/// A running digest of a stream; of its copies only one may take in more.
package struct ContentHash {
    private enum State {
        case sha256(SHA256)
        case sha512(SHA512)
        case fastSHA512(FastSHA512)
    }

    /// From so many bytes on it pays to load a library that is faster.
    private static let much: Int64 = 16 << 20

    private var state: State

    /// Starts a digest.
    ///
    /// - Parameters:
    ///   - algorithm: The hash function.
    ///   - size: About how many bytes will come, if that is known.
    package init(_ algorithm: Manifests.Digest.Algorithm, size: Int64 = 0) {
        switch algorithm {
        case .sha256: state = .sha256(SHA256())
        case .sha512:
            if size >= ContentHash.much, let fast = FastSHA512() {
                state = .fastSHA512(fast)
            } else {
                state = .sha512(SHA512())
            }
        }
    }

    /// Takes in the next bytes.
    package mutating func update(_ bytes: UnsafeRawBufferPointer) {
        switch state {
        case .sha256(var hash):
            // The state is taken out for the update, so that the hash is not copied.
            state = .sha256(SHA256())
            hash.update(bufferPointer: bytes)
            state = .sha256(hash)
        case .sha512(var hash):
            state = .sha512(SHA512())
            hash.update(bufferPointer: bytes)
            state = .sha512(hash)
        case .fastSHA512(let hash): hash.update(bytes)
        }
    }

    /// The digest of all bytes.
    package func finish() throws -> Manifests.Digest {
        switch state {
        case .sha256(let hash): try Manifests.Digest(.sha256, bytes: hash.finalize())
        case .sha512(let hash): try Manifests.Digest(.sha512, bytes: hash.finalize())
        case .fastSHA512(let hash): try Manifests.Digest(.sha512, bytes: hash.finish())
        }
    }

    /// The digest of bytes at hand.
    package static func digest(_ algorithm: Manifests.Digest.Algorithm, of bytes: [UInt8]) throws -> Manifests.Digest {
        var hash = ContentHash(algorithm)
        bytes.withUnsafeBytes { hash.update($0) }
        return try hash.finish()
    }
}

/// SHA-512 by OpenSSL, which uses more of a processor than what is linked in.
///
/// Not checked, as the compiler cannot see it: OpenSSL lets a context be used by one thread at a time, which is whoever has
/// the ``ContentHash`` that may take in more.
private final class FastSHA512: @unchecked Sendable {
    private let hash: OpaquePointer
    private var hasFailed = false

    /// Nil where OpenSSL is not installed.
    init?() {
        guard let hash = rkt_sha512_new() else { return nil }
        self.hash = hash
    }

    deinit { rkt_sha512_free(hash) }

    func update(_ bytes: UnsafeRawBufferPointer) {
        if rkt_sha512_update(hash, bytes.baseAddress, bytes.count) < 0 { hasFailed = true }
    }

    func finish() throws -> [UInt8] {
        var digest = [UInt8](repeating: 0, count: 64)
        guard !hasFailed, rkt_sha512_digest(hash, &digest) == 0 else {
            throw RktError(.failed, "hashing: OpenSSL's SHA-512 has failed")
        }
        return digest
    }
}
