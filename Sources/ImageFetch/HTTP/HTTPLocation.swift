internal import CLinux
internal import Diagnostics
internal import Glibc

/// An `http` or `https` URL as libcurl reads it: what is decided about a host is decided about the one that is asked.
struct HTTPLocation: Sendable, Hashable, CustomStringConvertible {
    /// Whom a request goes to: what credentials are for.
    struct Origin: Sendable, Hashable, CustomStringConvertible {
        let scheme: String
        /// In lower case.
        let host: String
        let port: String

        var isEncrypted: Bool { scheme == "https" }

        /// Whether it is this machine by any name that no resolver has a word in: no proxy is asked for it.
        var isLoopback: Bool {
            var address = in_addr()
            if host == "localhost" || host == "[::1]" { return true }
            return inet_pton(AF_INET, host, &address) == 1 && UInt32(bigEndian: address.s_addr) >> 24 == 127
        }

        var description: String {
            port == (isEncrypted ? "443" : "80") ? "\(scheme)://\(host)" : "\(scheme)://\(host):\(port)"
        }
    }

    /// The whole URL.
    let description: String
    let origin: Origin

    /// Reads a URL.
    ///
    /// - Parameters:
    ///   - text: The URL.
    ///   - base: What it is relative to, if it is.
    /// - Throws: `RktError` with `invalidData` for what is no URL, has another scheme, or names a user.
    init(_ text: String, relativeTo base: HTTPLocation? = nil) throws {
        try HTTPClient.load()
        // Control characters would end a header or a line of a log.
        guard text.utf8.count <= Self.sizeLimit, text.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) else {
            throw RktError(.invalidData, "\(text.prefix(200).debugDescription) is not a URL")
        }
        var parts = rkt_url()
        guard rkt_url_parse(base?.description, text, &parts) == 0 else {
            throw RktError(.invalidData, "\(text.prefix(200).debugDescription) is not a URL of http or https")
        }
        defer { rkt_url_free(&parts) }
        func string(_ part: UnsafeMutablePointer<CChar>?) -> String { part.map { String(cString: $0) } ?? "" }
        description = string(parts.whole)
        origin = Origin(scheme: string(parts.scheme), host: string(parts.host).lowercased(), port: string(parts.port))
    }

    private static let sizeLimit = 16 << 10
}
