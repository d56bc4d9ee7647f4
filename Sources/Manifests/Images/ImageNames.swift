internal import Diagnostics

/// An appc image name with what it asks of labels: `NAME[:VERSION][,LABEL=VALUE…]`.
public struct AppcImageName: Sendable, Hashable, CustomStringConvertible {
    /// The image's name.
    public let name: ACIdentifier
    /// The labels, each name once, `version` first.
    public let labels: [NameValue]

    /// Takes the parts.
    ///
    /// - Parameters:
    ///   - name: The image's name.
    ///   - labels: The labels.
    /// - Throws: ``RktError`` with `invalidArgument` for a label named twice or badly.
    public init(name: ACIdentifier, labels: [NameValue]) throws {
        var names: Set<String> = []
        for label in labels {
            _ = try ACIdentifier(label.name)
            guard label.name != "name" else {
                throw RktError(.invalidArgument, "image \(name): a label must not be called \"name\"")
            }
            guard names.insert(label.name).inserted else {
                throw RktError(.invalidArgument, "image \(name): label \(label.name) is given twice")
            }
        }
        self.name = name
        self.labels = labels.filter { $0.name == "version" } + labels.filter { $0.name != "version" }
    }

    /// Parses the text form.
    ///
    /// - Parameter text: `NAME[:VERSION][,LABEL=VALUE…]`; a value's commas and the like are written as `%2C`.
    /// - Throws: ``RktError`` with `invalidArgument`.
    public init(_ text: String) throws {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        let head = parts[0].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var labels: [NameValue] = []
        if head.count == 2 {
            guard !head[1].isEmpty, !head[1].contains(":") else {
                throw RktError(.invalidArgument, "invalid image name \(text.debugDescription): write NAME[:VERSION]")
            }
            labels.append(NameValue(name: "version", value: try ImageReference.percentDecoded(String(head[1]))))
        }
        for part in parts.dropFirst() {
            let sides = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard sides.count == 2, !sides[0].isEmpty else {
                throw RktError(
                    .invalidArgument,
                    "invalid image name \(text.debugDescription): write LABEL=VALUE after commas"
                )
            }
            let value = try ImageReference.percentDecoded(String(sides[1]))
            labels.append(NameValue(name: String(sides[0]), value: value))
        }
        let name = try withContext("invalid image name \(text.debugDescription)") { try ACIdentifier(String(head[0])) }
        try self.init(name: name, labels: labels)
    }

    /// The value of a label.
    ///
    /// - Parameter name: The label's name.
    /// - Returns: Its value, nil when it is not asked for.
    public func label(_ name: String) -> String? {
        labels.first { $0.name == name }?.value
    }

    /// The text form.
    public var description: String {
        let version = labels.first.flatMap { $0.name == "version" && !$0.value.isEmpty ? $0.value : nil }
        let others = version == nil ? labels[...] : labels.dropFirst()
        return "\(name)" + (version.map { ":\(Self.escaped($0))" } ?? "")
            + others.map { ",\($0.name)=\(Self.escaped($0.value))" }.joined()
    }

    /// What would end a value, or begin an escape, written as one.
    private static func escaped(_ value: String) -> String {
        var bytes: [UInt8] = []
        for byte in value.utf8 {
            switch byte {
            case UInt8(ascii: ","): bytes += Array("%2C".utf8)
            case UInt8(ascii: ":"): bytes += Array("%3A".utf8)
            case UInt8(ascii: "%"): bytes += Array("%25".utf8)
            default: bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// An image in a registry: `[HOST[:PORT]/]NAME[:TAG|@DIGEST]`.
public struct DockerReference: Sendable, Hashable, CustomStringConvertible {
    /// The registry, with its port if one is given.
    public let registry: String
    /// The repository in the registry.
    public let repository: String
    /// The tag; `latest` when neither a tag nor a digest is given.
    public let tag: String?
    /// The digest, if one is given.
    public let digest: Digest?

    /// The registry that short names mean.
    public static let defaultRegistry = "registry-1.docker.io"

    /// Parses a reference.
    ///
    /// - Parameter text: The reference without `docker://`.
    /// - Throws: ``RktError`` with `invalidArgument`.
    public init(_ text: String) throws {
        var rest = Substring(text)
        var digest: Digest?
        if let at = rest.firstIndex(of: "@") {
            guard let parsed = try? Digest(String(rest[rest.index(after: at)...])) else { throw Self.invalid(text) }
            digest = parsed
            rest = rest[..<at]
        }
        var registry = Self.defaultRegistry
        if let slash = rest.firstIndex(of: "/") {
            let first = rest[..<slash]
            if first.contains(".") || first.contains(":") || first == "localhost" {
                guard Self.isHost(first) else { throw Self.invalid(text) }
                registry = String(first)
                rest = rest[rest.index(after: slash)...]
            }
        }
        var tag: String?
        if let colon = rest.firstIndex(of: ":") {
            tag = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        }
        if let tag, !Self.isTag(tag) { throw Self.invalid(text) }
        guard Self.isRepository(rest) else { throw Self.invalid(text) }
        if ["docker.io", "index.docker.io"].contains(registry) { registry = Self.defaultRegistry }
        let isShort = registry == Self.defaultRegistry && !rest.contains("/")
        self.registry = registry
        repository = isShort ? "library/\(rest)" : String(rest)
        self.tag = tag ?? (digest == nil ? "latest" : nil)
        self.digest = digest
    }

    /// The full form.
    public var description: String {
        "\(registry)/\(repository)" + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    private static func invalid(_ text: String) -> RktError {
        RktError(
            .invalidArgument,
            "invalid docker URL \(text.debugDescription); expected syntax is "
                + "\"docker://[REGISTRY_HOST[:REGISTRY_PORT]/]IMAGE_NAME[:TAG]\""
        )
    }

    private static func isHost(_ text: Substring) -> Bool {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if parts.count == 2 {
            guard let port = UInt16(parts[1]), port > 0 else { return false }
        }
        return !parts[0].isEmpty && !parts[0].hasPrefix("-") && !parts[0].hasPrefix(".")
            && parts[0].utf8.allSatisfy { isAlphanumeric($0) || "-.".utf8.contains($0) }
    }

    private static func isTag(_ text: String) -> Bool {
        guard (1...128).contains(text.utf8.count), let first = text.utf8.first else { return false }
        return (isAlphanumeric(first) || first == UInt8(ascii: "_"))
            && text.utf8.allSatisfy { isAlphanumeric($0) || "_.-".utf8.contains($0) }
    }

    private static func isRepository(_ text: Substring) -> Bool {
        guard (1...255).contains(text.utf8.count) else { return false }
        return text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { component in
            guard let first = component.utf8.first, let last = component.utf8.last else { return false }
            return isPlain(first) && isPlain(last)
                && component.utf8.allSatisfy { isPlain($0) || "._-".utf8.contains($0) }
                && !component.contains("..")
        }
    }

    private static func isPlain(_ byte: UInt8) -> Bool { isAlphanumeric(byte) && !(65...90).contains(byte) }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
    }
}
