/// What a page says about images and their keys (appc specification, discovery): `<meta name="ac-discovery"
/// content="PREFIX TEMPLATE">` and `<meta name="ac-discovery-pubkeys" content="PREFIX URL">`.
public struct DiscoveryTags: Sendable, Hashable {
    /// Where an image is.
    public struct Endpoint: Sendable, Hashable {
        /// The URL of the ACI.
        public let archive: String
        /// The URL of its detached signature.
        public let signature: String
    }

    private struct Rule: Hashable {
        let prefix: String
        let text: String
    }

    private let templates: [Rule]
    private let keys: [Rule]

    /// Reads a page.
    ///
    /// - Parameter page: The page, HTML that anybody may have written.
    public init(page: [UInt8]) {
        let tags = HTMLMetaTag.tags(in: page)
        func rules(_ name: String) -> [Rule] {
            tags.compactMap { tag in
                guard tag.name == name else { return nil }
                let words = tag.content.split { $0.isWhitespace }
                return words.count == 2 ? Rule(prefix: String(words[0]), text: String(words[1])) : nil
            }
        }
        templates = rules("ac-discovery")
        keys = rules("ac-discovery-pubkeys")
    }

    /// Where an image is, as far as the templates for its name can be filled in and lead to a place that may be asked.
    ///
    /// - Parameters:
    ///   - name: The image, with all labels that templates may name; without a version `latest` is filled in.
    ///   - allowsHTTP: Whether plain http will do.
    /// - Returns: The places, in the page's order.
    public func endpoints(for name: AppcImageName, allowsHTTP: Bool) -> [Endpoint] {
        templates.filter { Self.covers($0.prefix, name.name) }.compactMap { rule in
            guard let archive = DiscoveryTemplate.filled(rule.text, name, ext: "aci"),
                let signature = DiscoveryTemplate.filled(rule.text, name, ext: "aci.asc"),
                archive != signature, Self.isURL(archive, allowsHTTP)
            else { return nil }
            return Endpoint(archive: archive, signature: signature)
        }
    }

    /// Where the keys for a name are.
    ///
    /// - Parameters:
    ///   - name: An image's name, or the beginning of some images' names.
    ///   - allowsHTTP: Whether plain http will do.
    /// - Returns: The URLs, in the page's order, each once.
    public func keyLocations(for name: ACIdentifier, allowsHTTP: Bool) -> [String] {
        var locations: [String] = []
        for rule in keys where Self.covers(rule.prefix, name) && Self.isURL(rule.text, allowsHTTP) {
            if !locations.contains(rule.text) { locations.append(rule.text) }
        }
        return locations
    }

    /// Whether a name begins with a prefix, whole components of it: `example.com/fo` has no word about
    /// `example.com/foo`.
    private static func covers(_ prefix: String, _ name: ACIdentifier) -> Bool {
        let prefix = prefix.hasSuffix("/") ? String(prefix.dropLast()) : prefix
        return !prefix.isEmpty && (name.description == prefix || name.description.hasPrefix("\(prefix)/"))
    }

    private static func isURL(_ text: String, _ allowsHTTP: Bool) -> Bool {
        let lowered = text.lowercased()
        return lowered.hasPrefix("https://") || allowsHTTP && lowered.hasPrefix("http://")
    }
}

/// A URL with places to fill in: `{name}`, `{ext}`, and the names of labels.
public enum DiscoveryTemplate {
    /// Where an image is that its host has no page about (simple discovery of the appc specification before 0.8).
    public static let simple = "https://{name}-{version}-{os}-{arch}.{ext}"

    /// The most bytes of a URL.
    private static let limit = 16 << 10

    /// Fills in a template.
    ///
    /// What is filled in is never read as part of the template again, and a label cannot lead to another host or path:
    /// all in it that means something in a URL is escaped.
    ///
    /// - Parameters:
    ///   - template: The template.
    ///   - name: The image; without a version `latest` is filled in.
    ///   - ext: `aci` or `aci.asc`.
    /// - Returns: The URL; nil when something is to be filled in that nobody knows.
    public static func filled(_ template: String, _ name: AppcImageName, ext: String) -> String? {
        var result = ""
        var rest = template[...]
        while let open = rest.firstIndex(of: "{") {
            result += rest[..<open]
            rest = rest[rest.index(after: open)...]
            guard let close = rest.firstIndex(of: "}"), let value = value(String(rest[..<close]), name, ext) else {
                return nil
            }
            result += value
            rest = rest[rest.index(after: close)...]
            guard result.utf8.count <= limit else { return nil }
        }
        result += rest
        return result.utf8.count <= limit && !result.contains("}") ? result : nil
    }

    private static func value(_ key: String, _ name: AppcImageName, _ ext: String) -> String? {
        switch key {
        case "name": return name.name.description
        case "ext": return ext
        default:
            guard let value = name.label(key) ?? (key == "version" ? "latest" : nil), !value.isEmpty else { return nil }
            return PercentEncoding.encode(value.utf8, keeping: "+,=")
        }
    }
}
