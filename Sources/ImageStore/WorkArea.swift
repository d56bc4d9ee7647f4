internal import Diagnostics
internal import Glibc
package import LinuxOS

/// A directory in the store's `tmp` for one piece of work; gone with it, and recognisable as left over when its process
/// died: nobody holds its lock then.
package final class WorkArea: Sendable {
    /// The directory.
    package let directory: Directory
    private let parent: Directory
    private let name: String

    package init(in parent: Directory) throws {
        self.parent = parent
        var made: (Directory, String)?
        // Between making and locking, another process may take the directory for a left-over.
        for _ in 0..<100 where made == nil {
            let name = "\(getpid())-\(UInt64.random(in: 0 ... .max))"
            try parent.makeDirectory(name, mode: 0o700)
            guard let directory = try? parent.directory(name),
                try FileLock.tryLock(.exclusive, directory.descriptor, name: directory.path),
                let there = try? parent.status(of: name),
                try FileStatus(of: directory.descriptor, name: name).identity == there.identity
            else { continue }
            made = (directory, name)
        }
        guard let made else { throw RktError(.busy, "\(parent.path) has no room for work: others remove it") }
        (directory, name) = made
    }

    /// A name in the directory that is not in use.
    func newName(_ stem: String) -> String { "\(stem)-\(UInt64.random(in: 0 ... .max))" }

    deinit {
        try? parent.removeTree(name)
    }

    /// Removes what processes that are gone have left behind.
    static func removeLeftovers(in parent: Directory) {
        for name in (try? parent.names()) ?? [] {
            guard let directory = try? parent.directory(name),
                (try? FileLock.tryLock(.exclusive, directory.descriptor, name: directory.path)) == true
            else {
                if let status = try? parent.status(of: name), status.kind != .directory { try? parent.remove(name) }
                continue
            }
            try? parent.removeTree(name)
        }
    }
}
