internal import Diagnostics
internal import FoundationEssentials
internal import Glibc
internal import Manifests

/// Credentials where `docker login` and `podman login` leave them: files with an object `auths`, or with the names of
/// programs that keep them (containers-auth.json(5), Docker's `config.json`).
public struct DockerCredentials: CredentialSource {
    private let paths: [String]
    /// Where programs are looked for.
    private let search: String

    /// Looks in files.
    ///
    /// - Parameters:
    ///   - paths: The files, those that count first in front; ones that are missing say nothing.
    ///   - search: The value of `PATH`.
    public init(paths: [String], search: String = "") {
        self.paths = paths
        self.search = search
    }

    /// Looks where the tools of the field do.
    ///
    /// - Parameter environment: The variables of the environment that say where that is.
    public init(environment: (String) -> String?) {
        search = environment("PATH") ?? ""
        if let file = Self.some(environment("REGISTRY_AUTH_FILE")) {
            paths = [file]
            return
        }
        let home = Self.some(environment("HOME"))
        let session = Self.some(environment("XDG_RUNTIME_DIR"))
        let configuration = Self.some(environment("XDG_CONFIG_HOME")) ?? home.map { "\($0)/.config" }
        paths = [
            session.map { "\($0)/containers/auth.json" } ?? "/run/containers/\(geteuid())/auth.json",
            configuration.map { "\($0)/containers/auth.json" },
            (Self.some(environment("DOCKER_CONFIG")) ?? home.map { "\($0)/.docker" }).map { "\($0)/config.json" },
        ].compactMap(\.self)
    }

    /// A variable that is empty says nothing.
    private static func some(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }

    private struct Document: Decodable {
        struct Entry: Decodable {
            var auth: String?
            var username: String?
            var password: String?
            var identitytoken: String?
            var registrytoken: String?
        }
        var auths: [String: Entry]?
        /// The helpers of registries.
        var credHelpers: [String: String]?
        /// The helper of all others.
        var credsStore: String?
    }

    /// The credentials of the most exact entry of the first file that has one.
    ///
    /// - Parameters:
    ///   - host: The registry.
    ///   - repository: What is wanted there.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: `RktError` naming the file that cannot be read, or the helper that fails.
    public func credential(for host: String, repository: String?) throws -> Credential? {
        let wanted = Self.keys(host, repository)
        for path in paths {
            guard let document = try Self.read(path) else { continue }
            if let credential = try withContext(path, { try ask(document, host) }) { return credential }
            guard let entries = document.auths else { continue }
            // A key that is written as it is counts before one with something around it.
            let known = Dictionary(
                entries.sorted { $0.key < $1.key }.map { (Self.normalized($0.key), $0.value) }
            ) { first, _ in first }
            for key in wanted {
                guard let entry = entries[key] ?? known[key] else { continue }
                if let credential = try Self.credential(entry, "\(path), \(key)") { return credential }
            }
        }
        return nil
    }

    /// Asks the helper that a file names for a registry.
    private func ask(_ document: Document, _ host: String) throws -> Credential? {
        let isDockers = host == DockerReference.defaultRegistry
        if let helpers = document.credHelpers {
            let known = Dictionary(
                helpers.sorted { $0.key < $1.key }.map { (Self.normalized($0.key), $0.value) }
            ) { first, _ in first }
            for key in Self.keys(host, nil) {
                guard let name = helpers[key] ?? known[key] else { continue }
                return try CredentialHelper(name, search: search).get(isDockers ? Self.dockersServer : host)
            }
        }
        guard let name = document.credsStore, !name.isEmpty else { return nil }
        let helper: CredentialHelper
        do {
            helper = try CredentialHelper(name, search: search)
        } catch let error as RktError where error.code == .missingDependency {
            // Of a file that came from another machine; most images need nobody's password.
            return nil
        }
        return try helper.get(isDockers ? Self.dockersServer : host)
    }

    /// What Docker's own registry is called where its credentials are kept.
    private static let dockersServer = "https://index.docker.io/v1/"

    private static func read(_ path: String) throws -> Document? {
        do {
            return try StrictJSON.decode(
                Document.self,
                from: try UserFile.read(path, limit: StrictJSON.sizeLimit),
                name: path
            )
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }

    /// `HOST/a/b`, `HOST/a`, `HOST`.
    private static func keys(_ host: String, _ repository: String?) -> [String] {
        let parts = repository?.split(separator: "/").map(String.init) ?? []
        // Docker's registry has had many names.
        let hosts = host == DockerReference.defaultRegistry ? ["docker.io", "index.docker.io", host] : [host]
        return hosts.flatMap { host in
            (0...parts.count).reversed().map { ([host] + parts.prefix($0)).joined(separator: "/") }
        }
    }

    /// A key without what older tools wrote around the host.
    private static func normalized(_ key: String) -> String {
        var key = key[...]
        for scheme in ["https://", "http://"] where key.hasPrefix(scheme) { key = key.dropFirst(scheme.count) }
        if key.hasSuffix("/") { key = key.dropLast() }
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2 && ["v1", "v2"].contains(parts[1]) ? String(parts[0]) : String(key)
    }

    private static func credential(_ entry: Document.Entry, _ name: String) throws -> Credential? {
        func some(_ text: String?) -> String? { text.flatMap { $0.isEmpty ? nil : $0 } }
        if let token = some(entry.registrytoken) { return .registryToken(token) }
        if let token = some(entry.identitytoken) { return .identityToken(token) }
        if let user = entry.username, let password = entry.password {
            return .password(user: user, password: password)
        }
        guard let text = entry.auth, !text.isEmpty else { return nil }
        guard let bytes = Data(base64Encoded: text), let pair = String(validating: bytes, as: UTF8.self),
            let colon = pair.firstIndex(of: ":")
        else { throw RktError(.invalidData, "\(name): its auth is not USER:PASSWORD in base64") }
        return .password(user: String(pair[..<colon]), password: String(pair[pair.index(after: colon)...]))
    }
}
