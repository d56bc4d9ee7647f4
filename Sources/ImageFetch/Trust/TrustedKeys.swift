internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// The keys that somebody trusts, in files below configuration directories (`trustedkeys`, as rkt 1 had them).
///
/// | path | content |
/// |---|---|
/// | `trustedkeys/root.d/FINGERPRINT` | a key for all images |
/// | `trustedkeys/prefix.d/PREFIX/FINGERPRINT` | a key for images whose names begin with the prefix, in whole components |
///
/// A file overrides one of the same name in a directory before it; an empty one takes that key away. Files and directories
/// must be root's or the caller's own, and nobody else's to write.
public struct TrustedKeys: Sendable {
    let directories: [String]

    /// Names the places; they are read when somebody asks.
    ///
    /// - Parameter directories: The configuration directories: the system's, then this machine's, which is where keys are
    ///   added.
    public init(directories: [String]) {
        self.directories = directories
    }

    static let place = "trustedkeys"
    static let rootPlace = "root.d"
    static let prefixPlace = "prefix.d"

    /// The keys whose signatures count for an image.
    ///
    /// - Parameter name: The image's name: an appc name, or `HOST/REPOSITORY` of a registry, without a tag.
    /// - Returns: The keys of both kinds, by fingerprint.
    /// - Throws: `RktError` with `invalidArgument` for what can be no name, `permissionDenied` naming a file or directory that
    ///   others could have written, `invalidData` naming one that is no key or not called what it is.
    public func keys(for name: String) throws -> [TrustedKey] {
        try files(for: name).compactMap(\.key).sorted { $0.fingerprint < $1.fingerprint }
    }

    /// Whether somebody has taken a key away for an image: then only who says so by hand trusts it again.
    ///
    /// - Parameters:
    ///   - fingerprint: The key.
    ///   - name: The image's name.
    /// - Returns: Whether an empty file of the key's name is the last word.
    /// - Throws: `RktError` as ``keys(for:)``.
    public func isMasked(_ fingerprint: String, for name: String) throws -> Bool {
        try files(for: name).contains { $0.fingerprint == fingerprint && $0.key == nil }
    }

    /// The files that count for an image, one of each name.
    func files(for name: String) throws -> [KeyFile] {
        let prefix = try ImagePrefix(name)
        var found: [String: KeyFile] = [:]
        let places = try directories.map { try KeyPlace(configuration: $0) }
        for place in places {
            for file in try place?.child(Self.rootPlace)?.files() ?? [] { found[file.fingerprint] = file }
        }
        for place in places {
            var directory = try place?.child(Self.prefixPlace)
            for component in prefix.components {
                directory = try directory?.child(component)
                for file in try directory?.files() ?? [] { found[file.fingerprint] = file }
            }
        }
        return Array(found.values)
    }
}

/// A file of the key store.
struct KeyFile {
    /// What it is called.
    let fingerprint: String
    /// The key; nil when the file is empty, which takes away one of the same name.
    let key: TrustedKey?
    let path: String
}

/// A directory of the key store that only those can write to whose word counts.
struct KeyPlace {
    let directory: Directory

    /// Opens the key store of a configuration directory; nil when there is none.
    init?(configuration path: String) throws {
        guard let directory = try KeyPlace.missing({ try Directory(path: path) }) else { return nil }
        guard let place = try KeyPlace(directory: directory).child(TrustedKeys.place) else { return nil }
        try KeyPlace.check(try FileStatus(of: directory.descriptor, name: path), path)
        self = place
    }

    init(directory: Directory) {
        self.directory = directory
    }

    /// Opens a directory in this one; nil when there is none.
    func child(_ name: String) throws -> KeyPlace? {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
        guard let file = try KeyPlace.missing({ SharedFD(try directory.open(name, flags: flags)) }) else { return nil }
        let child = Directory(taking: try file.descriptor.duplicate(), path: directory.path(of: name))
        try KeyPlace.check(try FileStatus(of: child.descriptor, name: child.path), child.path)
        return KeyPlace(directory: child)
    }

    /// Only what is not there at all is missing.
    private static func missing<Found>(_ open: () throws -> Found) throws -> Found? {
        do {
            return try open()
        } catch let error as RktError where error.errno == ENOENT {
            return nil
        } catch let error as RktError where error.errno == ENOTDIR || error.errno == ELOOP {
            throw RktError(
                .invalidData,
                "keys cannot be looked for: a directory of them is something else",
                cause: error
            )
        }
    }

    static func check(_ status: FileStatus, _ path: String) throws {
        guard status.uid == 0 || status.uid == geteuid() else {
            throw RktError(
                .permissionDenied,
                "\(path) belongs to user \(status.uid): whom to trust, only root says (chown root)"
            )
        }
        guard status.mode & 0o022 == 0 else {
            throw RktError(
                .permissionDenied,
                "\(path) can be written to by others than its owner: who knows whose keys are there (chmod go-w)"
            )
        }
    }

    /// The keys in this directory; directories in it are those of longer prefixes.
    func files() throws -> [KeyFile] {
        // Hidden ones are on their way in.
        try directory.names().filter { !$0.hasPrefix(".") }.compactMap { try file($0) }
    }

    /// The directories in this one.
    func children() throws -> [String] {
        try directory.names().filter { name in
            try !name.hasPrefix(".") && directory.status(of: name).kind == .directory
        }
    }

    private func file(_ name: String) throws -> KeyFile? {
        let path = directory.path(of: name)
        let found = try directory.status(of: name)
        if found.kind == .directory { return nil }
        guard found.kind == .regular else {
            throw RktError(.invalidData, "\(path) is not a regular file, as all keys are")
        }
        guard TrustedKey.isFingerprint(name) else {
            throw RktError(
                .invalidData,
                "\(path) is not called what a key is, its fingerprint: remove it from there (rkt trust adds keys)"
            )
        }
        let file = try directory.open(name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)
        let status = try FileStatus(of: file, name: path)
        guard status.kind == .regular else { throw RktError(.invalidData, "\(path) is not a regular file") }
        try KeyPlace.check(status, path)
        let contents = try file.readAll(limit: TrustedKey.sizeLimit, name: path)
        guard !contents.isEmpty else { return KeyFile(fingerprint: name, key: nil, path: path) }
        let key = try TrustedKey(contents, path: path)
        guard key.fingerprint == name else {
            throw RktError(
                .invalidData,
                "\(path) is the key \(key.fingerprint): files of keys are called what they are"
            )
        }
        return KeyFile(fingerprint: name, key: key, path: path)
    }
}
