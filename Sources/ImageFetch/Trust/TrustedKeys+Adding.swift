internal import Diagnostics
internal import Glibc
internal import LinuxOS

extension TrustedKeys {
    /// Trusts a key from now on.
    ///
    /// - Parameters:
    ///   - key: The key.
    ///   - prefix: The images it is trusted for; nil for all.
    /// - Returns: The file it is in, which outlives a power loss.
    /// - Throws: `RktError` with `permissionDenied` when the caller may not say whom to trust here, or others may too.
    public func add(_ key: TrustedKey, for prefix: ImagePrefix?) throws -> String {
        guard let configuration = directories.last else {
            throw RktError(.invalidArgument, "there is no configuration directory to keep keys in")
        }
        var place = try KeyPlace(directory: try Directory.ensure(path: configuration)).ensure(Self.place)
        place = try place.ensure(prefix == nil ? Self.rootPlace : Self.prefixPlace)
        for component in prefix?.components ?? [] { place = try place.ensure(component) }
        try place.directory.write(key.fingerprint, key.contents, mode: 0o644, durable: true)
        return place.directory.path(of: key.fingerprint)
    }

    /// A file of the key store.
    public struct Entry: Sendable {
        /// The images it is for; nil for all.
        public let prefix: String?
        /// What it is called: the key's fingerprint.
        public let fingerprint: String
        /// The key; nil when the file is empty, which takes away one of the same name.
        public let key: TrustedKey?
        /// The file.
        public let path: String
    }

    /// All that is in the key store.
    ///
    /// - Returns: The files: those for all images first, then by prefix; where two are of one place, the one that
    ///   counts.
    /// - Throws: `RktError` as ``keys(for:)``.
    public func list() throws -> [Entry] {
        var found: [String: Entry] = [:]
        for place in try directories.compactMap({ try KeyPlace(configuration: $0) }) {
            try Self.collect(try place.child(Self.rootPlace), nil, deep: false, into: &found)
            try Self.collect(try place.child(Self.prefixPlace), nil, deep: true, into: &found)
        }
        return found.sorted { $0.key < $1.key }.map(\.value)
    }

    /// Whether a key is trusted for one name and for nothing else.
    ///
    /// - Parameters:
    ///   - name: The image's name.
    ///   - fingerprint: The key.
    /// - Returns: Whether it is; false also when that cannot be found out.
    func isFor(_ name: String, alone fingerprint: String) -> Bool {
        guard let prefix = try? ImagePrefix(name), let entries = try? list() else { return false }
        let places = entries.filter { $0.fingerprint == fingerprint && $0.key != nil }.map(\.prefix)
        return !places.isEmpty && places.allSatisfy { $0 == prefix.components.joined(separator: "/") }
    }

    private static func collect(
        _ place: KeyPlace?,
        _ prefix: String?,
        deep: Bool,
        into found: inout [String: Entry]
    ) throws {
        guard let place else { return }
        // What lies directly in prefix.d is for no image.
        for file in !deep || prefix != nil ? try place.files() : [] {
            let entry = Entry(prefix: prefix, fingerprint: file.fingerprint, key: file.key, path: file.path)
            found["\(prefix ?? "") \(file.fingerprint)"] = entry
        }
        for name in deep ? try place.children() : [] {
            try collect(try place.child(name), prefix.map { "\($0)/\(name)" } ?? name, deep: true, into: &found)
        }
    }
}

extension KeyPlace {
    /// Opens a directory in this one, for all to read, made if it is missing, so that it outlives a power loss.
    fileprivate func ensure(_ name: String) throws -> KeyPlace {
        if let there = try child(name) { return there }
        do {
            try directory.makeDirectory(name)
            let made = try directory.open(name, flags: O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
            let raw = made.rawValue
            // Whatever the umask is: members of the group rkt fetch images too.
            try system("making \(directory.path(of: name))") { fchmod(raw, 0o755) }
            try directory.synchronize()
        } catch let error as RktError where error.code == .alreadyExists {}
        guard let made = try child(name) else {
            throw RktError(.busy, "\(directory.path(of: name)) is removed by somebody else")
        }
        return made
    }
}
