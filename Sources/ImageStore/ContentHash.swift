internal import Crypto
internal import Diagnostics
package import Manifests

/// A running digest of a stream.
package struct ContentHash {
    private enum State {
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private var state: State

    /// Starts a digest.
    package init(_ algorithm: Manifests.Digest.Algorithm) {
        state = algorithm == .sha256 ? .sha256(SHA256()) : .sha512(SHA512())
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
        }
    }

    /// The digest of all bytes.
    package func finish() throws -> Manifests.Digest {
        switch state {
        case .sha256(let hash): try Manifests.Digest(.sha256, bytes: hash.finalize())
        case .sha512(let hash): try Manifests.Digest(.sha512, bytes: hash.finalize())
        }
    }

    /// The digest of bytes at hand.
    package static func digest(_ algorithm: Manifests.Digest.Algorithm, of bytes: [UInt8]) throws -> Manifests.Digest {
        var hash = ContentHash(algorithm)
        bytes.withUnsafeBytes { hash.update($0) }
        return try hash.finish()
    }
}
