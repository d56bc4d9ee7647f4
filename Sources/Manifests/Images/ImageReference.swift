internal import Diagnostics

/// What a user can name an image by.
public enum ImageReference: Sendable, Hashable {
    /// The beginning of an image's ID.
    case id(ImageIDPrefix)
    /// A file or an OCI layout on this host; `reference` chooses one of several images in it.
    case file(path: String, reference: String?)
    /// An appc image name with labels.
    case appc(AppcImageName)
    /// An image in a registry.
    case docker(DockerReference)
    /// An ACI to be loaded over http or https.
    case url(String)

    /// Tells what kind of reference a text is.
    ///
    /// What exists is a file, whatever its name ends with: a regular file, or a directory with an `oci-layout`. After
    /// such a path `#NAME` or `:NAME` chooses an image by its name in the layout.
    ///
    /// - Parameters:
    ///   - text: The text.
    ///   - acceptsID: Whether the beginning of an ID is understood (`run` and `prepare`), or is a name (`fetch`).
    ///   - exists: Whether a path, relative to the working directory or absolute, is an image file or layout.
    /// - Throws: ``RktError`` with `invalidArgument` for a text that cannot be a reference.
    public init(_ text: String, acceptsID: Bool = true, exists: (String) -> Bool) throws {
        guard !text.isEmpty, !text.utf8.contains(0) else {
            throw RktError(.invalidArgument, "invalid image string \(text.debugDescription)")
        }
        if acceptsID, text.hasPrefix("sha512-") || text.hasPrefix("sha256-"), let id = try? ImageIDPrefix(text) {
            self = .id(id)
            return
        }
        if let file = Self.existing(text, exists) {
            self = file
            return
        }
        let scheme = Self.scheme(of: text)
        let rest = scheme.map { String(text.dropFirst($0.count + 1)) } ?? text
        switch scheme {
        case "docker": self = .docker(try DockerReference(rest.hasPrefix("//") ? String(rest.dropFirst(2)) : rest))
        case "file": self = try Self.fileURL(rest, text, exists)
        case "http", "https":
            guard Self.isArchiveURL(rest) else {
                throw RktError(
                    .invalidArgument,
                    "invalid image string \(text.debugDescription): it must be the URL of a file whose name ends with .aci"
                )
            }
            self = .url(text)
        case "cimd": self = try Self.internalURI(rest, text)
        case nil where text.hasPrefix("/"): self = .file(path: text, reference: nil)
        case nil where !text.contains(":") && (text.contains("./") || text.hasSuffix(".aci")):
            self = .file(path: text, reference: nil)
        default: self = .appc(try AppcImageName(text))
        }
    }

    private static func existing(_ text: String, _ exists: (String) -> Bool) -> ImageReference? {
        if exists(text) { return .file(path: text, reference: nil) }
        for separator in ["#", ":"] as [Character] {
            // A name may hold colons itself (redis:7), and so may a path: the shortest path that exists counts.
            var place = text.startIndex
            while let found = text[place...].firstIndex(of: separator) {
                let path = String(text[..<found])
                let name = String(text[text.index(after: found)...])
                if !path.isEmpty, !name.isEmpty, exists(path) { return .file(path: path, reference: name) }
                place = text.index(after: found)
            }
        }
        return nil
    }

    private static func fileURL(_ rest: String, _ text: String, _ exists: (String) -> Bool) throws -> ImageReference {
        var path = rest
        if path.hasPrefix("//") {
            path = String(path.dropFirst(2))
            if path.hasPrefix("localhost/") { path = String(path.dropFirst(9)) }
        }
        path = try percentDecoded(path)
        if let file = existing(path, exists) { return file }
        guard path.hasSuffix(".aci") else {
            throw RktError(.invalidArgument, "invalid image string \(text.debugDescription)")
        }
        return .file(path: path, reference: nil)
    }

    private static func isArchiveURL(_ rest: String) -> Bool {
        let path = rest.prefix { $0 != "?" && $0 != "#" }
        return rest.hasPrefix("//") && path.dropFirst(2).contains("/") && path.hasSuffix(".aci")
    }

    /// `TYPE:v=0:DATA`, the form that image references are stored in.
    private static func internalURI(_ rest: String, _ text: String) throws -> ImageReference {
        let parts = rest.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, parts[1] == "v=0", !parts[2].isEmpty else {
            throw RktError(.invalidArgument, "invalid image string \(text.debugDescription)")
        }
        switch parts[0] {
        case "aci-archive":
            let url = try percentDecoded(parts[2])
            guard !url.hasPrefix("cimd:") else { break }
            return try ImageReference(url, acceptsID: false) { _ in false }
        case "docker": return .docker(try DockerReference(parts[2]))
        case "appc":
            let halves = parts[2].split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
            var labels: [NameValue] = []
            for pair in (halves.count == 2 ? halves[1] : "").split(separator: "&") {
                let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                guard sides.count == 2 else { throw RktError(.invalidArgument, "\(text): label without a value") }
                labels.append(
                    NameValue(name: try percentDecoded(String(sides[0])), value: try percentDecoded(String(sides[1])))
                )
            }
            return .appc(try AppcImageName(name: try ACIdentifier(String(halves[0])), labels: labels))
        default: break
        }
        throw RktError(.invalidArgument, "invalid image string \(text.debugDescription)")
    }

    /// The scheme of a URL, in lower case; nil when the text does not start with one.
    private static func scheme(of text: String) -> String? {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")), colon != text.startIndex else { return nil }
        for (index, byte) in text.utf8[..<colon].enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): continue
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."):
                if index == 0 { return nil }
            default: return nil
            }
        }
        return text[..<colon].lowercased()
    }

    static func percentDecoded(_ text: String) throws -> String {
        guard let bytes = PercentEncoding.decode(text), !bytes.contains(0) else {
            throw RktError(.invalidArgument, "\(text.debugDescription) has an invalid % escape")
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The beginning of an image's ID: `sha512-` or `sha256-` and at least two hex digits.
public struct ImageIDPrefix: Sendable, Hashable, CustomStringConvertible {
    /// The text, cut to the length of a full ID.
    public let description: String

    /// Takes the beginning of an ID.
    ///
    /// - Parameter text: `sha512-HEX` or `sha256-HEX`; more than 64 digits are cut.
    /// - Throws: ``RktError`` with `invalidArgument`.
    public init(_ text: String) throws {
        guard text.hasPrefix("sha512-") || text.hasPrefix("sha256-") else {
            throw RktError(.invalidArgument, "\(text.debugDescription): wrong key prefix")
        }
        let hex = text.dropFirst(7)
        guard hex.utf8.count >= 2 else {
            throw RktError(.invalidArgument, "\(text.debugDescription): image ID too short")
        }
        guard hex.utf8.count <= 128, hex.utf8.allSatisfy(isLowerHex) else {
            throw RktError(.invalidArgument, "\(text.debugDescription): not an image ID")
        }
        description = String(text.prefix(7 + 64))
    }
}
