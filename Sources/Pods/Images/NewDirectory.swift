internal import Diagnostics
internal import LinuxOS

/// A directory tree that appears under its name whole or not at all. What it takes the place of is removed at the end,
/// and only if that cannot take along more than the user means.
final class NewDirectory {
    /// The directory.
    let directory: Directory
    private let place: OutputPlace
    private let temporary: String
    /// What is there already, to be removed.
    private let old: FileStatus?

    /// Begins a directory; it has another name until ``finish()``.
    ///
    /// - Parameters:
    ///   - place: Where it goes.
    ///   - overwrite: Whether it may take the place of another directory.
    ///   - existing: The message when it may not.
    ///   - protected: A directory that must neither be in the place, nor be it, nor hold it.
    ///   - mode: Its mode, less the umask: its maker's alone, as there may be set-uid files in it.
    /// - Throws: ``RktError`` with `alreadyExists`, `busy` for what has a mount in it, `invalidArgument`.
    init(
        _ place: OutputPlace,
        overwrite: Bool,
        existing: String,
        protecting protected: String,
        mode: UInt32 = 0o700
    ) throws {
        old = try place.status()
        guard !Self.isOverlap(place, old, protected) else {
            throw RktError(.invalidArgument, "\(place.path) overlaps with the data directory \(protected)")
        }
        if let old {
            guard overwrite else { throw RktError(.alreadyExists, existing) }
            guard old.kind == .directory else {
                let what = old.kind == .link ? "a symbolic link" : "not a directory"
                throw RktError(.alreadyExists, "\(place.path) is \(what): it cannot be overwritten")
            }
            let mounts = try MountTable.mounts()
            if let mount = mounts.first(where: { $0 == place.path || $0.hasPrefix("\(place.path)/") }) {
                throw RktError(.busy, "\(place.path) cannot be overwritten: \(mount) is mounted there")
            }
        }
        self.place = place
        temporary = place.temporaryName()
        try place.parent.makeDirectory(temporary, mode: mode)
        directory = try place.parent.directory(temporary)
    }

    /// Whether a place is in a directory, is it, or holds it; by what they are, as a mount can give both other paths.
    private static func isOverlap(_ place: OutputPlace, _ there: FileStatus?, _ protected: String) -> Bool {
        // With the dot, a link at its end is followed too.
        guard let resolved = try? OutputPlace("\(protected)/.").path else { return false }
        let (above, own) = (identities(place.path), identities(resolved))
        let isInside = own[resolved].map { inner in above.contains { $0.value == inner } } ?? false
        let isAbove = there.map { there in own.contains { $0.value == Identity(there) } } ?? false
        return isInside || isAbove || place.path == resolved || place.path.hasPrefix("\(resolved)/")
    }

    private struct Identity: Equatable {
        let device: UInt64
        let inode: UInt64

        init(_ status: FileStatus) {
            (device, inode) = status.identity
        }
    }

    /// What each directory on a path is, as far as they are there.
    private static func identities(_ path: String) -> [String: Identity] {
        var found: [String: Identity] = [:]
        var prefix = ""
        for part in path.split(separator: "/") {
            prefix += "/\(part)"
            guard let directory = try? Directory(path: prefix),
                let status = try? FileStatus(of: directory.descriptor, name: prefix)
            else { break }
            found[prefix] = Identity(status)
        }
        return found
    }

    deinit {
        // What was there before, or what did not become finished.
        try? place.parent.removeTree(temporary)
    }

    /// Gives the directory its name, and removes what had it.
    func finish() throws {
        guard let old else { return try place.parent.renameExclusively(temporary, to: place.name) }
        let now = try place.parent.status(of: place.name)
        guard now.kind == .directory, now.identity == old.identity else {
            throw RktError(.busy, "\(place.path) is another one now: somebody else has changed it")
        }
        try place.parent.exchange(temporary, with: place.name, in: place.parent)
        try place.parent.removeTree(temporary)
    }
}

/// What is mounted where this process is.
enum MountTable {
    /// The mount points, absolute.
    static func mounts() throws -> [String] {
        let text = try Directory(path: "/proc/self").readText("mountinfo", limit: 64 << 20)
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 ? unescaped(fields[4]) : nil
        }
    }

    /// Undoes the kernel's `\040` for what would end a field.
    static func unescaped(_ field: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = field.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            if byte == UInt8(ascii: "\\"), digits.count == 3, let value = UInt8(String(Substring(digits)), radix: 8) {
                bytes.append(value)
                rest = rest.dropFirst(3)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
