internal import Diagnostics
internal import FoundationEssentials
internal import Manifests

/// A token for pulling from a repository, of the server that the registry names (distribution specification of Docker's
/// registry, "Token Authentication").
struct RegistryToken {
    private let realm: HTTPLocation
    private let query: [(String, String)]
    /// Whether the credentials for the registry are for the realm, too.
    private let isTrusted: Bool

    /// - Parameters:
    ///   - challenge: What the registry has said.
    ///   - base: The registry.
    ///   - host: Its name in references.
    ///   - repository: The repository.
    ///   - servers: The token servers that are configured for it.
    /// - Throws: `RktError` with `invalidData` for a challenge that names no server, `permissionDenied` for one without
    ///   TLS.
    init(
        _ challenge: AuthenticationChallenge,
        base: HTTPLocation,
        host: String,
        repository: String,
        servers: [RegistryHost] = []
    ) throws {
        guard let realm = challenge.parameters["realm"] else {
            throw RktError(.invalidData, "\(base.origin) asks for a token and does not say from where")
        }
        self.realm = try HTTPLocation(realm)
        guard self.realm.origin.isEncrypted || !base.origin.isEncrypted else {
            throw RktError(
                .permissionDenied,
                "\(base.origin) has tokens at \(self.realm.origin), which is not encrypted"
            )
        }
        // What is wanted is what we say, not what the challenge does.
        query =
            [challenge.parameters["service"].map { ("service", $0) }, ("scope", "repository:\(repository):pull")]
            .compactMap(\.self)
        isTrusted =
            Self.isOfOneHouse(base.origin, self.realm.origin, host: host)
            || Self.isConfigured(self.realm.origin, servers, base.origin)
    }

    /// Whether the user has named a server for the registry. One without TLS is none, but for a registry without TLS.
    private static func isConfigured(
        _ realm: HTTPLocation.Origin,
        _ servers: [RegistryHost],
        _ registry: HTTPLocation.Origin
    ) -> Bool {
        guard realm.isEncrypted || !registry.isEncrypted else { return false }
        let own = realm.isEncrypted ? "443" : "80"
        return servers.contains { $0.host == realm.host && ($0.port ?? own) == realm.port }
    }

    private struct Answer: Decodable {
        let token: String?
        let accessToken: String?

        private enum CodingKeys: String, CodingKey {
            case token
            case accessToken = "access_token"
        }
    }

    private static let sizeLimit = 1 << 20

    /// Gets a token.
    ///
    /// - Parameters:
    ///   - session: Sends the request.
    ///   - credential: For the registry.
    /// - Returns: The token.
    /// - Throws: `RktError` with `permissionDenied` when there is none.
    func get(_ session: HTTPSession, _ credential: Credential?) throws -> String {
        let shown = isTrusted ? credential : nil
        let found: HTTPSession.Answer
        if case .identityToken(let token) = shown {
            found = try refresh(session, token)
        } else {
            let separator = realm.description.contains("?") ? "&" : "?"
            let location = try HTTPLocation(realm.description + separator + Self.form(query))
            found = try session.document(
                HTTPRequest(location),
                shown?.authorization.map { HTTPSession.Authorization(origin: location.origin, value: $0) },
                limit: Self.sizeLimit,
                name: "the token of \(realm.origin)"
            )
        }
        let (response, body) = (found.response, found.body)
        guard response.isSuccess else {
            let reason = RegistryError.summary(body).map { ": \($0)" } ?? ""
            let hint =
                credential != nil && !isTrusted
                ? " (the credentials are for another host, and were not shown to it: tokenServers in rkt's registries.d)"
                : ""
            throw RktError(
                [401, 403].contains(response.status) ? .permissionDenied : .unavailable,
                "\(realm.origin) gives no token, status \(response.status)\(reason)\(hint)"
            )
        }
        let answer = try StrictJSON.decode(Answer.self, from: body, name: "the token of \(realm.origin)")
        guard let token = answer.token ?? answer.accessToken, !token.isEmpty,
            token.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw RktError(.invalidData, "\(realm.origin) gives no token that could be shown") }
        return token
    }

    /// Shows a token that is good for others (distribution specification of Docker's registry, "Using OAuth2"; RFC
    /// 6749, 6).
    private func refresh(_ session: HTTPSession, _ token: String) throws -> HTTPSession.Answer {
        var request = HTTPRequest(realm)
        let fields = [("grant_type", "refresh_token"), ("client_id", "rkt"), ("refresh_token", token)]
        request.form = Array(Self.form(fields + query).utf8)
        // Small as it is, it need not be asked for first.
        request.headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Expect", "")]
        return try session.document(request, limit: Self.sizeLimit, name: "the token of \(realm.origin)")
    }

    private static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\($0)=\(PercentEncoding.encode($1.utf8, keeping: "/:"))" }.joined(separator: "&")
    }

    /// Whether credentials for a registry may be shown to a server of tokens: it is the same host, one is below the
    /// other, or both are Docker's, whose registry and tokens have different names.
    static func isOfOneHouse(_ registry: HTTPLocation.Origin, _ realm: HTTPLocation.Origin, host: String) -> Bool {
        guard realm.isEncrypted || !registry.isEncrypted else { return false }
        if registry.host == realm.host { return true }
        if host == DockerReference.defaultRegistry { return realm.host == "auth.docker.io" }
        func isBelow(_ host: String, _ other: String) -> Bool {
            // Not of all that is below a top-level domain; addresses have no below.
            other.split(separator: ".").count > 1 && host.hasSuffix(".\(other)") && other.contains { $0.isLetter }
        }
        return isBelow(registry.host, realm.host) || isBelow(realm.host, registry.host)
    }
}
