internal import Diagnostics
internal import CLinux
public import Glibc

/// A directory, held by descriptor: all work on files below it goes through here.
///
/// Relative names are resolved by the kernel with `openat2`, confined to the directory: neither `..`, nor an absolute
/// symbolic link, nor a magic link leads out of it. What has no confined form (unlink, rename, mkdir)
/// is done on the confined parent's descriptor.
public final class Directory: Sendable {
    /// The descriptor.
    public let descriptor: OwnedFD
    /// The path the directory was opened by, for messages and for programs that need a path.
    public let path: String

    /// Takes over an open directory.
    ///
    /// - Parameters:
    ///   - descriptor: An open directory.
    ///   - path: Its path, for messages.
    public init(taking descriptor: consuming OwnedFD, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    /// Opens a directory by a path that the caller trusts.
    ///
    /// - Parameter path: An absolute path, or one relative to the working directory.
    /// - Throws: ``RktError`` with `notFound` or `permissionDenied`.
    public convenience init(path: String) throws {
        let opened = try system("opening \(path)") { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        self.init(taking: OwnedFD(taking: opened), path: path)
    }

    /// Opens a directory by a trusted path, making it and its parents first where they are missing.
    ///
    /// - Parameters:
    ///   - path: An absolute path.
    ///   - mode: The mode of each directory made, less the umask.
    /// - Returns: The directory.
    /// - Throws: ``RktError`` when it can neither be opened nor made.
    public static func ensure(path: String, mode: UInt32 = 0o755) throws -> Directory {
        do {
            return try Directory(path: path)
        } catch let error as RktError where error.code == .notFound && error.errno == ENOENT {
            var made = path.hasPrefix("/") ? "" : "."
            for component in path.split(separator: "/") {
                made += "/\(component)"
                if mkdir(made, mode) < 0, rkt_errno() != EEXIST {
                    throw RktError(errno: rkt_errno(), "making directory \(made)")
                }
            }
            return try Directory(path: path)
        }
    }

    /// The path of an entry, for messages and for programs that need one.
    ///
    /// - Parameter name: A relative name.
    /// - Returns: The joined path.
    public func path(of name: String) -> String { "\(path)/\(name)" }

    // MARK: Opening

    /// Opens a file below the directory, confined to it.
    ///
    /// - Parameters:
    ///   - name: A relative name; links in it are resolved as if this directory were `/`.
    ///   - flags: `open(2)` flags; close-on-exec is added.
    ///   - mode: The mode of a file that is created.
    /// - Returns: The descriptor.
    /// - Throws: ``RktError`` for the errno.
    public func open(_ name: String, flags: CInt = O_RDONLY, mode: UInt32 = 0) throws -> OwnedFD {
        let creates = flags & O_CREAT != 0
        let directory = descriptor.rawValue
        return OwnedFD(
            taking: try system("opening \(path(of: name))") {
                rkt_openat2(
                    directory,
                    name,
                    UInt64(UInt32(bitPattern: flags | O_CLOEXEC)),
                    creates ? UInt64(mode) : 0,
                    UInt64(RKT_RESOLVE_IN_ROOT | RKT_RESOLVE_NO_MAGICLINKS)
                )
            }
        )
    }

    /// Opens a directory below this one, confined to it.
    ///
    /// - Parameter name: A relative name.
    /// - Returns: The directory.
    /// - Throws: ``RktError`` for the errno.
    public func directory(_ name: String) throws -> Directory {
        Directory(taking: try open(name, flags: O_RDONLY | O_DIRECTORY), path: path(of: name))
    }

    /// Opens a directory below this one, making it first where it is missing.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - mode: The mode of a directory that is made, less the umask.
    /// - Returns: The directory.
    /// - Throws: ``RktError`` for the errno.
    public func ensureDirectory(_ name: String, mode: UInt32 = 0o755) throws -> Directory {
        do {
            return try directory(name)
        } catch let error as RktError where error.errno == ENOENT {
            do {
                try makeDirectory(name, mode: mode)
            } catch let error as RktError where error.code == .alreadyExists {}
            return try directory(name)
        }
    }

    // MARK: Reading

    /// Reads a regular file.
    ///
    /// - Parameters:
    ///   - name: A relative name.
    ///   - limit: The most bytes to accept.
    /// - Returns: The content.
    /// - Throws: ``RktError`` with `invalidData` when it is not a regular file, `limitExceeded` when it is too large.
    public func read(_ name: String, limit: Int = 16 << 20) throws -> [UInt8] {
        let file = try open(name, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
        guard try FileStatus(of: file, name: path(of: name)).kind == .regular else {
            throw RktError(.invalidData, "\(path(of: name)) is not a regular file")
        }
        return try file.readAll(limit: limit, name: path(of: name))
    }

    /// Reads a small text file.
    ///
    /// - Parameters:
    ///   - name: A relative name.
    ///   - limit: The most bytes to accept.
    /// - Returns: The text; bytes that are not UTF-8 are replaced.
    /// - Throws: ``RktError`` as ``read(_:limit:)``.
    public func readText(_ name: String, limit: Int = 1 << 20) throws -> String {
        String(decoding: try read(name, limit: limit), as: UTF8.self)
    }

    /// Whether an entry exists; a dangling link does.
    ///
    /// - Parameter name: A relative name.
    /// - Returns: False when it does not, or cannot be looked at.
    public func contains(_ name: String) -> Bool {
        (try? status(of: name)) != nil
    }

    /// The status of an entry; of a link itself, not of its target.
    ///
    /// - Parameter name: A relative name.
    /// - Returns: The status.
    /// - Throws: ``RktError`` for the errno.
    public func status(of name: String) throws -> FileStatus {
        try FileStatus(of: try open(name, flags: RKT_O_PATH | O_NOFOLLOW), name: path(of: name))
    }

    /// The names in the directory, sorted, without `.` and `..`.
    ///
    /// - Returns: The names; those that are not UTF-8 are left out, none of ours is.
    /// - Throws: ``RktError`` for the errno.
    public func names() throws -> [String] {
        var names: [String] = []
        try forEachEntry { name in
            if let name = String(validatingCString: name) { names.append(name) }
        }
        return names.sorted()
    }

    func forEachEntry(_ body: (UnsafePointer<CChar>) throws -> Void) throws {
        let again = try open(".", flags: O_RDONLY | O_DIRECTORY)
        let raw = again.release()
        guard let stream = fdopendir(raw) else {
            let number = rkt_errno()
            close(raw)
            throw RktError(errno: number, "reading \(path)")
        }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            try withUnsafePointer(to: &entry.pointee.d_name) { tuple in
                try tuple.withMemoryRebound(to: CChar.self, capacity: 256) { name in
                    let isDot = name[0] == 46 && (name[1] == 0 || (name[1] == 46 && name[2] == 0))
                    if !isDot { try body(name) }
                }
            }
        }
    }

    // MARK: Writing

    /// Makes a directory.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - mode: Its mode, less the umask.
    /// - Throws: ``RktError`` with `alreadyExists` when there is such an entry.
    public func makeDirectory(_ name: String, mode: UInt32 = 0o755) throws {
        let directory = descriptor.rawValue
        try system("making directory \(path(of: name))") { mkdirat(directory, name, mode) }
    }

    /// Makes a named pipe.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - mode: Its mode, less the umask.
    /// - Throws: ``RktError`` with `alreadyExists` when there is such an entry.
    public func makePipe(_ name: String, mode: UInt32) throws {
        let directory = descriptor.rawValue
        try system("making the named pipe \(path(of: name))") { mkfifoat(directory, name, mode) }
    }

    /// Makes a symbolic link.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - target: The link's text.
    /// - Throws: ``RktError`` with `alreadyExists` when there is such an entry.
    public func makeLink(_ name: String, to target: String) throws {
        let directory = descriptor.rawValue
        try system("linking \(path(of: name))") { symlinkat(target, directory, name) }
    }

    /// Writes a file so that it appears whole or not at all, replacing an older one.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - bytes: The content.
    ///   - mode: The file's mode, whatever the umask.
    ///   - durable: Whether it must outlive a power loss: the file and the directory are synced.
    /// - Throws: ``RktError`` for the errno; then the older file is still there.
    public func write(
        _ name: String,
        _ bytes: some ContiguousBytesView,
        mode: UInt32 = 0o644,
        durable: Bool = false
    ) throws {
        let temporary = ".\(name).\(getpid()).\(UInt32.random(in: 0 ... .max))"
        do {
            let file = try open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try file.writeAll(bytes, name: path(of: name))
            let raw = file.rawValue
            try system("changing the mode of \(path(of: name))") { fchmod(raw, mode) }
            if durable { try file.synchronize(name: path(of: name)) }
            try rename(temporary, to: name)
        } catch {
            try? remove(temporary)
            throw error
        }
        if durable { try synchronize() }
    }

    /// Renames an entry, replacing what has the new name.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - newName: Its new name.
    ///   - other: The directory it moves to; this one when nil.
    /// - Throws: ``RktError`` for the errno.
    public func rename(_ name: String, to newName: String, in other: Directory? = nil) throws {
        let from = descriptor.rawValue
        let to = (other ?? self).descriptor.rawValue
        try system("renaming \(path(of: name)) to \((other ?? self).path(of: newName))") {
            renameat(from, name, to, newName)
        }
    }

    /// Renames an entry unless something has the new name.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - newName: Its new name.
    ///   - other: The directory it moves to; this one when nil.
    /// - Throws: ``RktError`` with `alreadyExists` when something has the new name.
    public func renameExclusively(_ name: String, to newName: String, in other: Directory? = nil) throws {
        let from = descriptor.rawValue
        let to = (other ?? self).descriptor.rawValue
        try system("renaming \(path(of: name)) to \((other ?? self).path(of: newName))") {
            rkt_renameat2(from, name, to, newName, 1)
        }
    }

    /// Removes a file or link.
    ///
    /// - Parameter name: The name of a direct entry.
    /// - Throws: ``RktError`` with `notFound` when there is none.
    public func remove(_ name: String) throws {
        let directory = descriptor.rawValue
        try system("removing \(path(of: name))") { unlinkat(directory, name, 0) }
    }

    /// Removes a directory that is empty, or a cgroup, whose files go with it.
    ///
    /// - Parameter name: The name of a direct entry.
    /// - Throws: ``RktError`` for the errno.
    public func removeDirectory(_ name: String) throws {
        let directory = descriptor.rawValue
        try system("removing \(path(of: name))") { unlinkat(directory, name, AT_REMOVEDIR) }
    }

    /// Removes a file, link or directory with all below it, never following a link; one that is gone already is no
    /// error.
    ///
    /// - Parameter name: The name of a direct entry.
    /// - Throws: ``RktError`` for the first entry that could not be removed.
    public func removeTree(_ name: String) throws {
        try name.withCString { try Directory.removeTree(in: descriptor.rawValue, $0, path: path) }
    }

    private static func removeTree(in parent: CInt, _ name: UnsafePointer<CChar>, path: String) throws {
        if unlinkat(parent, name, 0) == 0 { return }
        let number = rkt_errno()
        if number == ENOENT { return }
        let here = "\(path)/\(String(cString: name))"
        guard number == EISDIR || number == EPERM else { throw RktError(errno: number, "removing \(here)") }

        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        var opened = openat(parent, name, flags)
        if opened < 0, rkt_errno() == EACCES, fchmodat(parent, name, 0o700, 0) == 0 {
            opened = openat(parent, name, flags)
        }
        guard opened >= 0 else { throw RktError(errno: rkt_errno(), "opening \(here)") }
        let directory = Directory(taking: OwnedFD(taking: opened), path: here)
        var attempts = 8
        repeat {
            try directory.forEachEntry { try removeTree(in: opened, $0, path: here) }
            if unlinkat(parent, name, AT_REMOVEDIR) == 0 { return }
            attempts -= 1
            // Somebody who is about to end has made an entry meanwhile.
        } while rkt_errno() == ENOTEMPTY && attempts > 0
        throw RktError(errno: rkt_errno(), "removing \(here)")
    }

    /// Waits until the directory's entries are on disk.
    ///
    /// - Throws: ``RktError`` when they did not reach the disk.
    public func synchronize() throws {
        try descriptor.synchronize(name: path)
    }
}

extension Directory {
    /// Flags to open or make a file that serves as a lock.
    public static let lockFileFlags: Int32 = O_RDWR | O_CREAT
}

extension Directory {
    /// The text of a symbolic link.
    ///
    /// - Parameter name: The name of a direct entry.
    /// - Returns: The text; nil when there is no such link.
    public func readLink(_ name: String) -> String? {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlinkat(descriptor.rawValue, name, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer[0..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Writes a file where it is, without the care of ``write(_:_:mode:durable:)``: for files nobody reads yet.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry.
    ///   - bytes: The content.
    ///   - mode: The mode of a file that is made, less the umask.
    /// - Throws: ``RktError`` for the errno.
    public func writeInPlace(_ name: String, _ bytes: some ContiguousBytesView, mode: UInt32 = 0o644) throws {
        let file = try open(name, flags: O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try file.writeAll(bytes, name: path(of: name))
    }
}

extension Directory {
    /// Waits until all that was written to the directory's file system is on disk.
    ///
    /// - Throws: ``RktError`` when it did not reach the disk.
    public func synchronizeFileSystem() throws {
        try system("syncing the file system of \(path)") { rkt_syncfs(descriptor.rawValue) }
    }
}

extension Directory {
    /// Makes a file that appears whole or not at all, and leaves nothing else behind whenever the process is killed;
    /// for file systems with files that have no name yet (`O_TMPFILE`), as those below `/run` are.
    ///
    /// - Parameters:
    ///   - name: The name of a direct entry; an older one is removed first.
    ///   - bytes: The content.
    ///   - mode: The file's mode, less the umask.
    /// - Throws: ``RktError`` for the errno.
    public func make(_ name: String, _ bytes: some ContiguousBytesView, mode: UInt32 = 0o644) throws {
        let directory = descriptor.rawValue
        let path = path(of: name)
        let nameless = OwnedFD(
            taking: try system("making \(path)") { rkt_open_nameless(directory, mode) }
        )
        try nameless.writeAll(bytes, name: path)
        if contains(name) { try remove(name) }
        let raw = nameless.rawValue
        try system("making \(path)") { linkat(AT_FDCWD, "/proc/self/fd/\(raw)", directory, name, AT_SYMLINK_FOLLOW) }
        withExtendedLifetime(nameless.rawValue) {}
    }
}
