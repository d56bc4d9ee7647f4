internal import Manifests

/// Manifests as `cat-manifest` prints them.
enum ManifestText {
    /// The text of a JSON document.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - name: What it is, for errors.
    ///   - pretty: Whether to indent it.
    /// - Returns: The text.
    /// - Throws: ``RktError`` with `invalidData` when it is not JSON.
    static func text(_ bytes: [UInt8], name: String, pretty: Bool) throws -> String {
        let value = try StrictJSON.decode(JSONValue.self, from: bytes, name: name)
        return TerminalText.forOutput(try JSONText.encode(value, pretty ? .pretty : .compact))
    }
}
