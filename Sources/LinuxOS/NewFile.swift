internal import CLinux
internal import Diagnostics
internal import Glibc

/// A place that the user names for a result: in an open directory, so that what is checked is what is written to.
public struct OutputPlace: Sendable {
    /// The directory.
    public let parent: Directory
    /// The name in it.
    public let name: String
    /// The path without links in its directories.
    public let path: String

    /// Finds a place; only its last part need not be there.
    ///
    /// - Parameter path: The path; slashes at its end mean nothing.
    /// - Throws: ``RktError`` with `notFound` when its directory is not there, `invalidArgument` for the root
    ///   directory.
    public init(_ path: String) throws {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw RktError(.invalidArgument, "the output has no name") }
        let last = path.split(separator: "/").last.map(String.init)
        var whole = path
        if last == nil || last == "." || last == ".." { whole = try Self.resolved(path) }
        let parts = whole.split(separator: "/")
        guard let name = parts.last.map(String.init) else {
            throw RktError(.invalidArgument, "/ is not a place for an output")
        }
        let above = parts.dropLast().joined(separator: "/")
        let directory = try Self.resolved(whole.hasPrefix("/") ? "/\(above)" : above.isEmpty ? "." : above)
        self.name = name
        self.path = directory == "/" ? "/\(name)" : "\(directory)/\(name)"
        parent = try Directory(path: directory)
    }

    private static func resolved(_ path: String) throws -> String {
        guard let resolved = realpath(path, nil) else { throw RktError(errno: rkt_errno(), "opening \(path)") }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    /// What is there now; nil when nothing is.
    ///
    /// - Returns: Its status, of a link its own.
    /// - Throws: ``RktError`` when it cannot be looked at.
    public func status() throws -> FileStatus? {
        do {
            return try parent.status(of: name)
        } catch let error as RktError where error.errno == ENOENT {
            return nil
        }
    }

    /// A name beside it that nobody else has.
    public func temporaryName() -> String { ".\(name.prefix(200)).rkt-\(UInt64.random(in: 0 ... .max))" }
}

/// A file that appears under its name whole or not at all.
public final class NewFile: Sendable {
    /// The file, to be written.
    public let file: OwnedFD
    private let place: OutputPlace
    private let temporary: String
    private let overwrites: Bool

    /// Begins a file; it has another name until ``finish()``.
    ///
    /// - Parameters:
    ///   - place: Where it goes.
    ///   - overwrite: Whether it may take the place of another regular file.
    ///   - existing: The message when it may not.
    /// - Throws: ``RktError`` with `alreadyExists` when something is there that is not to be overwritten.
    public init(_ place: OutputPlace, overwrite: Bool, existing: String) throws {
        if let there = try place.status() {
            guard there.kind == .regular else {
                throw RktError(.alreadyExists, "\(place.path) is not a regular file: it cannot be overwritten")
            }
            guard overwrite else { throw RktError(.alreadyExists, existing) }
        }
        self.place = place
        overwrites = overwrite
        temporary = place.temporaryName()
        file = try place.parent.open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
    }

    deinit {
        // After finish there is no such name.
        try? place.parent.remove(temporary)
    }

    /// Gives the file its name, when all of it is on disk.
    ///
    /// - Throws: ``RktError`` when it cannot be synced, or somebody else has taken the name meanwhile.
    public func finish() throws {
        try file.synchronize(name: place.path)
        if overwrites {
            try place.parent.rename(temporary, to: place.name)
        } else {
            try place.parent.renameExclusively(temporary, to: place.name)
        }
        try place.parent.synchronize()
    }
}
