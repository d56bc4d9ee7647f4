internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Finds where the keys for images are published (`ac-discovery-pubkeys`; appc specification, discovery).
public protocol KeyDiscovery: Sendable {
    /// Asks the owner of a prefix.
    ///
    /// - Parameter prefix: The beginning of images' names.
    /// - Returns: The URLs of keys.
    /// - Throws: `RktError` with `notFound` when there are none.
    func keyLocations(for prefix: String) throws -> [String]
}

/// Gets public keys from files and servers.
public struct KeySource: Sendable {
    private let settings: HTTPSettings

    /// Makes a source.
    ///
    /// - Parameter settings: What the user allows for requests.
    public init(settings: HTTPSettings) {
        self.settings = settings
    }

    /// Gets a key.
    ///
    /// - Parameter location: A path, or an `http` or `https` URL.
    /// - Returns: The key.
    /// - Throws: `RktError` with `permissionDenied` for a URL that is not encrypted, where that is not allowed;
    ///   `unavailable` when the server does not send it, `invalidData` when it is none.
    public func key(_ location: String) throws -> TrustedKey {
        guard let scheme = Self.scheme(location) else { return try TrustedKey(try Self.read(location), path: location) }
        guard ["http", "https"].contains(scheme) else {
            throw RktError(
                .invalidArgument,
                "key \(location.debugDescription) is neither a path nor an http or https URL"
            )
        }
        guard scheme == "https" || settings.allowsHTTP else {
            throw RktError(
                .permissionDenied,
                "key \(location) would come unencrypted, and anybody on the way could send their own (try "
                    + "--insecure-allow-http, and compare the fingerprint)"
            )
        }
        let session = HTTPSession(client: try HTTPClient(settings))
        let name = "key \(location)"
        let answer = try withContext("cannot get \(name)") {
            try session.document(HTTPRequest(try HTTPLocation(location)), limit: TrustedKey.sizeLimit, name: name)
        }
        guard answer.response.status == 200 else {
            throw RktError(.unavailable, "cannot get \(name): bad HTTP status code: \(answer.response.status)")
        }
        return try TrustedKey(answer.body, path: location)
    }

    /// The scheme of a URL; nil for a path.
    private static func scheme(_ location: String) -> String? {
        guard let end = location.firstRange(of: "://") else { return nil }
        let scheme = location[..<end.lowerBound]
        let isScheme = !scheme.isEmpty && scheme.utf8.allSatisfy { (97...122).contains($0 | 0x20) }
        return isScheme ? scheme.lowercased() : nil
    }

    /// A file, or what comes out of a pipe.
    private static func read(_ path: String) throws -> [UInt8] {
        let file = OwnedFD(
            taking: try system("opening key \(path)") { Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY) }
        )
        guard try FileStatus(of: file, name: path).kind != .directory else {
            throw RktError(.invalidArgument, "key \(path) is a directory")
        }
        return try file.readAll(limit: TrustedKey.sizeLimit, name: "key \(path)")
    }
}
