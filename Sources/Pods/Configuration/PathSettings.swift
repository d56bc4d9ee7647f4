internal import Diagnostics

/// Directories by configuration: the files of kind `paths` in the `paths.d` of the configuration directories.
public struct PathSettings: Sendable, Equatable {
    /// The data directory; nil where no file says.
    public private(set) var data: String?
    /// The directory of stage1 images; nil where no file says. What is in there is trusted no more than other files.
    public private(set) var stage1Images: String?

    /// Reads the configuration.
    ///
    /// - Parameter directories: The configuration directories, later ones overriding earlier ones field by field; ones
    ///   that are missing say nothing.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    public init(directories: [String]) throws {
        for directory in directories {
            let settings = try Self(directory: "\(directory)/paths.d")
            data = settings.data ?? data
            stage1Images = settings.stage1Images ?? stage1Images
        }
    }

    private init(directory path: String) throws {
        for file in try ConfigurationFile.read(directory: path, kinds: ["paths"]) {
            try withContext("configuration file \(file.path)") { try add(file) }
        }
    }

    private mutating func add(_ file: ConfigurationFile) throws {
        let document = try file.decode(Document.self)
        let found = (try Self.path(document.data, "data"), try Self.path(document.stage1Images, "stage1-images"))
        guard found.0 != nil || found.1 != nil else {
            throw RktError(.invalidData, "it gives neither data nor stage1-images")
        }
        if found.0 != nil, data != nil { throw Self.duplicate("data") }
        if found.1 != nil, stage1Images != nil { throw Self.duplicate("stage1-images") }
        data = found.0 ?? data
        stage1Images = found.1 ?? stage1Images
    }

    private static func duplicate(_ field: String) -> RktError {
        RktError(.invalidData, "another file of the same directory gives \(field) too")
    }

    /// Checks a field; one that is empty says nothing.
    private static func path(_ text: String?, _ field: String) throws -> String? {
        guard let text, !text.isEmpty else { return nil }
        guard text.hasPrefix("/"), text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw RktError(.invalidData, "\(field) is \(text.debugDescription): it must be an absolute path")
        }
        return text
    }

    private struct Document: Decodable {
        var data: String?
        var stage1Images: String?

        private enum CodingKeys: String, CodingKey {
            case data
            case stage1Images = "stage1-images"
        }
    }
}
