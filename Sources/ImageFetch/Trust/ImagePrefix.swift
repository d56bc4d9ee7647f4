internal import Diagnostics
internal import Manifests

/// What a key is trusted for: the beginning of images' names, in whole components. `example.com/app` is that of
/// `example.com/app` and `example.com/app/web`, and not of `example.com/apps`.
public struct ImagePrefix: Sendable, Hashable, CustomStringConvertible {
    /// The components, of which there is one at least.
    let components: [String]

    /// Reads a prefix, or a whole name.
    ///
    /// - Parameter text: An appc name or its beginning, or `HOST[:PORT]/REPOSITORY` of a registry.
    /// - Throws: `RktError` with `invalidArgument` saying what is wrong with it.
    public init(_ text: String) throws {
        guard !text.contains("://") else {
            throw RktError(
                .invalidArgument,
                "prefix \(text.debugDescription) must be without \"\(text.prefix { $0 != "/" })//\""
            )
        }
        var components = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        components[0] = components[0].lowercased()
        // One registry has three names.
        if ["docker.io", "index.docker.io"].contains(components[0]) { components[0] = DockerReference.defaultRegistry }
        guard text.utf8.count <= 1024, components.allSatisfy(Self.isComponent) else {
            throw RktError(
                .invalidArgument,
                "prefix \(String(text.prefix(200)).debugDescription) is not the beginning of an image's name: write "
                    + "letters, digits, '.', '-', '_' and '~' between slashes"
            )
        }
        guard components.dropFirst().allSatisfy({ !$0.contains(":") }) else {
            throw RktError(.invalidArgument, "prefix \(text.debugDescription) must be without a version or tag")
        }
        self.components = components
    }

    private static func isComponent(_ text: String) -> Bool {
        // Names of keys' files, and names that are hidden, are none.
        guard (1...255).contains(text.utf8.count), !text.hasPrefix("."), !TrustedKey.isFingerprint(text) else {
            return false
        }
        return text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "-._~:".utf8.contains(byte)
        }
    }

    /// The components, joined.
    public var description: String { components.joined(separator: "/") }
}
