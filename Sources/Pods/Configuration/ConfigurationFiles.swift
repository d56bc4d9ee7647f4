internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// One of rkt's configuration files: `*.json` in a directory for its kind, below a configuration directory.
struct ConfigurationFile {
    /// Its path, for errors.
    let path: String
    /// Its `rktKind`.
    let kind: String
    /// The whole text.
    let bytes: [UInt8]

    /// Reads the files of a directory.
    ///
    /// - Parameters:
    ///   - path: The directory; when it is missing there are none.
    ///   - kinds: The kinds that may be in there.
    /// - Returns: The files in the order of their names.
    /// - Throws: ``RktError`` naming the file that is wrong, and what is wrong with it.
    static func read(directory path: String, kinds: [String]) throws -> [ConfigurationFile] {
        let directory: Directory
        do {
            directory = try Directory(path: path)
        } catch let error as RktError where error.code == .notFound {
            return []
        }
        return try directory.names().sorted().compactMap { name in
            guard name.hasSuffix(".json"), try directory.status(of: name).kind == .regular else { return nil }
            return try withContext("configuration file \(directory.path(of: name))") {
                try ConfigurationFile(name, in: directory, kinds)
            }
        }
    }

    private struct Head: Decodable {
        var rktKind: String?
        var rktVersion: String?
    }

    private init(_ name: String, in directory: Directory, _ kinds: [String]) throws {
        path = directory.path(of: name)
        bytes = try directory.read(name, limit: StrictJSON.sizeLimit)
        let head = try StrictJSON.decode(Head.self, from: bytes, name: name)
        guard let kind = head.rktKind, let version = head.rktVersion else {
            throw RktError(.invalidData, "it must have rktKind and rktVersion")
        }
        guard kinds.contains(kind) else {
            let place = directory.path.split(separator: "/").last ?? ""
            let known = kinds.map { "\"\($0)\"" }.joined(separator: " or ")
            throw RktError(.invalidData, "rktKind is \(kind.debugDescription): files in \(place) are of kind \(known)")
        }
        guard version == "v1" else {
            throw RktError(.invalidData, "rktVersion \(version.debugDescription) is not known: it must be \"v1\"")
        }
        self.kind = kind
    }

    /// Reads a file's own part.
    ///
    /// - Parameter type: What it is.
    /// - Returns: The part.
    /// - Throws: ``RktError`` naming the file.
    func decode<Document: Decodable>(_ type: Document.Type) throws -> Document {
        try StrictJSON.decode(type, from: bytes, name: path)
    }
}
