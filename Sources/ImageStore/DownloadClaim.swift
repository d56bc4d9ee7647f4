internal import Diagnostics
internal import Glibc
internal import LinuxOS
package import Manifests

/// The right to bring a layer or an image into the store, so that those who want the same from the same place at the
/// same time do it once.
///
/// It is a lock on a number in a file that each user has for all processes, and ends with its holder, however that
/// ends. Users do not wait for each other, nor for what comes from elsewhere: one could make the others wait for ever.
package final class DownloadClaim: Sendable {
    /// What is claimed.
    package enum Kind: String {
        /// A layer, while nothing else is waited for.
        case layer
        /// An image, before any layer.
        case image
    }

    private let file: OwnedFD
    private let number: Int64

    fileprivate init(_ file: consuming OwnedFD, _ number: Int64) {
        self.file = file
        self.number = number
    }

    deinit {
        // Closing would not do while a child that was forked meanwhile has the descriptor too.
        RangeLock.unlock(number...number, file)
    }

    /// The number of the lock. Two claims can have the same one; then one waits for no reason.
    fileprivate static func number(_ kind: Kind, _ digest: Digest, from origin: String) throws -> Int64 {
        try ContentHash.digest(.sha256, of: Array("\(kind.rawValue) \(digest) \(origin)".utf8)).number
    }
}

extension ImageStore {
    /// Claims what has a digest, waiting for another who has claimed it.
    ///
    /// - Parameters:
    ///   - kind: What it is.
    ///   - digest: Its digest.
    ///   - origin: The registry that it comes from.
    ///   - waiting: Called before waiting.
    /// - Returns: The claim; nil where there can be none, and everybody works alone.
    /// - Throws: ``RktError`` when the lock cannot be had.
    package func claim(
        _ kind: DownloadClaim.Kind,
        _ digest: Digest,
        from origin: String,
        waiting: () -> Void
    ) throws -> DownloadClaim? {
        let user = geteuid()
        let name = ".claims.\(user)"
        let flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK
        guard let file = try? part("blobs").open(name, flags: flags, mode: 0o600) else { return nil }
        let status = try FileStatus(of: file, name: name)
        guard status.kind == .regular, status.uid == user else { return nil }
        let number = try DownloadClaim.number(kind, digest, from: origin)
        if try !RangeLock.tryLock(.exclusive, number...number, file, name: name) {
            waiting()
            try RangeLock.lock(.exclusive, number...number, file, name: name)
        }
        return DownloadClaim(file, number)
    }
}
