internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests

/// The right to use what is in a store: what it holds is not removed as long as it lives.
///
/// Each digest has a number in the file `uses`, and whoever relies on a blob or layer has a shared lock on that.
/// Whoever removes takes exclusive ones, only those that are to be had at once, before looking who needs what. So users
/// never keep a removal from going on with the rest, it makes them wait for a moment at most, and a process that dies
/// leaves nothing.
public final class StoreLease: Sendable {
    private let file: OwnedFD
    private let name: String

    init(_ directory: Directory) throws {
        name = directory.path(of: "uses")
        file = try directory.open("uses", flags: O_RDONLY | O_NOFOLLOW)
    }

    deinit {
        // Closing would not do while a child that was forked meanwhile has the descriptor too.
        RangeLock.unlock(RangeLock.all, file)
    }

    func holdAll() throws {
        try RangeLock.lock(.shared, RangeLock.all, file, name: name)
    }

    /// Holds blobs or layers. Only what is there afterwards is sure to stay.
    func hold(_ digests: some Sequence<Digest>) throws {
        for digest in digests { try RangeLock.lock(.shared, digest.number...digest.number, file, name: name) }
    }

    /// Lets go of all but some blobs and layers.
    ///
    /// - Parameter digests: What is still needed, which must be held.
    public func keepOnly(_ digests: some Sequence<Digest>) {
        var next: Int64 = 0
        for number in Set(digests.map(\.number)).sorted() {
            if number > next { RangeLock.unlock(next...(number - 1), file) }
            next = number + 1
        }
        RangeLock.unlock(next...Int64.max, file)
    }
}

/// Exclusive locks on what is about to be removed.
final class RemovalClaim: Sendable {
    private let file: OwnedFD
    private let name: String

    init(_ directory: Directory) throws {
        name = directory.path(of: "uses")
        file = try directory.open("uses", flags: O_RDWR | O_NOFOLLOW)
    }

    deinit {
        RangeLock.unlock(RangeLock.all, file)
    }

    /// Takes those of the digests that nobody holds.
    func take(_ digests: some Sequence<Digest>) throws -> Set<Digest> {
        Set(
            try digests.filter {
                try RangeLock.tryLock(.exclusive, $0.number...$0.number, file, name: name)
            }
        )
    }
}

extension Digest {
    /// A number between 0 and 2^62. Two digests can have the same one; then both are held by who holds one of them.
    var number: Int64 { Int64((UInt64(hex.prefix(16), radix: 16) ?? 0) >> 2) }
}

extension ImageStore {
    /// Keeps all that is in the store now, as long as the result is held; it does not keep out other users.
    ///
    /// - Returns: The lease.
    /// - Throws: ``RktError`` when the lock cannot be had.
    public func lease() throws -> StoreLease {
        let lease = try StoreLease(directory)
        try lease.holdAll()
        return lease
    }
}
