internal import Diagnostics
internal import LinuxOS
internal import Synchronization

/// What is configured for one server; nil for what is not.
struct HostFiles: Sendable, Equatable {
    /// Authorities besides the system's, as PEM.
    var authorities: [UInt8]?
    /// The path of the certificate that this side shows.
    var certificate: String?
    /// The path of its key.
    var key: String?
}

/// The certificates that are configured for hosts, where Docker and podman have them: `DIRECTORY/HOST[:PORT]/`, in it
/// `*.crt` for authorities, and `NAME.cert` with `NAME.key`.
final class HostCertificates: Sendable {
    private let directories: [String]
    private let known = Mutex<[HTTPLocation.Origin: HostFiles]>([:])

    /// The most bytes of one file of authorities.
    private static let sizeLimit = 1 << 20

    /// - Parameter directories: The directories, the first that has the host counts.
    init(directories: [String] = ["/etc/rkt/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d"]) {
        self.directories = directories
    }

    /// What is configured for a server.
    ///
    /// - Parameter origin: The server.
    /// - Returns: The authorities and files.
    /// - Throws: `RktError` naming a file of authorities that cannot be read or has none.
    func files(for origin: HTTPLocation.Origin) throws -> HostFiles {
        guard origin.isEncrypted else { return HostFiles() }
        if let files = known.withLock({ $0[origin] }) { return files }
        let files = try read(for: origin)
        known.withLock { $0[origin] = files }
        return files
    }

    private func read(for origin: HTTPLocation.Origin) throws -> HostFiles {
        for directory in directories {
            for name in ["\(origin.host):\(origin.port)", origin.host] {
                let path = "\(directory)/\(name)"
                let names = Self.names(in: path)
                guard !names.isEmpty else { continue }
                let certificate = names.first { $0.hasSuffix(".cert") }
                let key = certificate.map { "\($0.dropLast(5)).key" }.flatMap { names.contains($0) ? $0 : nil }
                let authorities = try names.filter { $0.hasSuffix(".crt") }.map {
                    try Self.authorities("\(path)/\($0)")
                }
                return HostFiles(
                    // One may end without a line feed.
                    authorities: authorities.isEmpty ? nil : Array(authorities.joined(separator: [0x0A])),
                    certificate: certificate.map { "\(path)/\($0)" },
                    key: key.map { "\(path)/\($0)" }
                )
            }
        }
        return HostFiles()
    }

    /// One that cannot be used is said by name: of all of them together nobody could tell which it was.
    private static func authorities(_ path: String) throws -> [UInt8] {
        let bytes = try withContext("authorities for TLS") { try UserFile.read(path, limit: sizeLimit) }
        guard String(decoding: bytes, as: UTF8.self).contains("-----BEGIN CERTIFICATE-----") else {
            throw RktError(.invalidData, "authorities for TLS: \(path) has no certificate (PEM)")
        }
        return bytes
    }

    private static func names(in path: String) -> [String] {
        ((try? Directory(path: path).names()) ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }
}
