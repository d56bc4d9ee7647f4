internal import Diagnostics
internal import Manifests

/// The default stage1 by configuration: the files of kind `stage1` in the `stage1.d` of the configuration directories.
public struct Stage1Settings: Sendable, Equatable {
    /// The image's name.
    var name: String?
    /// The image's version.
    var version: String?
    /// Where to get it: an absolute path, or a URL.
    var location: String?

    /// Reads the configuration.
    ///
    /// - Parameter directories: The configuration directories, later ones overriding earlier ones field by field; ones
    ///   that are missing say nothing.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public init(directories: [String]) throws {
        for directory in directories {
            let settings = try Self(directory: "\(directory)/stage1.d")
            if settings.name != nil { (name, version) = (settings.name, settings.version) }
            location = settings.location ?? location
        }
    }

    private init(directory path: String) throws {
        for file in try ConfigurationFile.read(directory: path, kinds: ["stage1"]) {
            try withContext("configuration file \(file.path)") { try add(file) }
        }
    }

    private mutating func add(_ file: ConfigurationFile) throws {
        let document = try file.decode(Document.self)
        func some(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        let found = (name: some(document.name), version: some(document.version), location: some(document.location))
        if let name = found.name, Stage1Choice.builtIn(named: name) == nil, found.version == nil {
            throw RktError(.invalidData, "it has a name without a version")
        }
        guard found.name != nil || found.version == nil else {
            throw RktError(.invalidData, "it has a version without a name")
        }
        if let location = found.location { try Self.check(location: location) }
        if found.name != nil, name != nil { throw Self.duplicate("name") }
        if found.location != nil, location != nil { throw Self.duplicate("location") }
        if found.name != nil { (name, version) = (found.name, found.version) }
        location = found.location ?? location
    }

    private static func duplicate(_ field: String) -> RktError {
        RktError(.invalidData, "another file of the same directory gives a \(field) too")
    }

    private static func check(location: String) throws {
        if location.hasPrefix("/") { return }
        guard location.contains("://") else {
            throw RktError(
                .invalidData,
                "default stage1 image location is either a relative path or a URL without scheme: "
                    + location.debugDescription
            )
        }
        do {
            _ = try Stage1Choice.place(ofURL: location)
        } catch {
            throw RktError(.invalidData, "location is \(location.debugDescription): \(error)")
        }
    }

    /// The stage1 they choose; nil when they choose none.
    ///
    /// - Returns: The choice.
    /// - Throws: ``RktError`` with `invalidArgument` for a location that can be none.
    public func choice() throws -> Stage1Choice? {
        if let name, let own = Stage1Choice.builtIn(named: name) { return .builtIn(own) }
        guard name != nil || location != nil else { return nil }
        let image = name.map { "\($0)\(version.map { ":\($0)" } ?? "")" }
        let place = try location.map { $0.hasPrefix("/") ? $0 : try Stage1Choice.place(ofURL: $0) }
        return .image(.configured(name: image, location: place))
    }

    private struct Document: Decodable {
        var name: String?
        var version: String?
        var location: String?
    }
}
