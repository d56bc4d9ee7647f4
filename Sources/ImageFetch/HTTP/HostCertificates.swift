internal import LinuxOS

/// Files of certificates for one server, as paths; nil for what is not configured.
struct CertificateFiles: Sendable, Equatable {
    /// Authorities besides the system's.
    var authorities: String?
    /// The certificate that this side shows.
    var certificate: String?
    /// Its key.
    var key: String?
}

/// The certificates that are configured for hosts, where Docker and podman have them: `DIRECTORY/HOST[:PORT]/`, in it
/// `*.crt` for authorities, and `NAME.cert` with `NAME.key`.
struct HostCertificates: Sendable {
    private let directories: [String]

    /// - Parameter directories: The directories, the first that has the host counts.
    init(directories: [String] = ["/etc/rkt/certs.d", "/etc/containers/certs.d", "/etc/docker/certs.d"]) {
        self.directories = directories
    }

    /// What is configured for a server.
    ///
    /// - Parameter origin: The server.
    /// - Returns: The files.
    func files(for origin: HTTPLocation.Origin) -> CertificateFiles {
        guard origin.isEncrypted else { return CertificateFiles() }
        for directory in directories {
            for name in ["\(origin.host):\(origin.port)", origin.host] {
                let path = "\(directory)/\(name)"
                let names = Self.names(in: path)
                guard !names.isEmpty else { continue }
                let certificate = names.first { $0.hasSuffix(".cert") }
                let key = certificate.map { "\($0.dropLast(5)).key" }.flatMap { names.contains($0) ? $0 : nil }
                return CertificateFiles(
                    authorities: names.first { $0.hasSuffix(".crt") }.map { "\(path)/\($0)" },
                    certificate: certificate.map { "\(path)/\($0)" },
                    key: key.map { "\(path)/\($0)" }
                )
            }
        }
        return CertificateFiles()
    }

    private static func names(in path: String) -> [String] {
        ((try? Directory(path: path).names()) ?? []).filter { !$0.hasPrefix(".") }.sorted()
    }
}
