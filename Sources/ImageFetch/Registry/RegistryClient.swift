internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import Manifests
internal import Synchronization

/// A repository in a registry (OCI distribution specification 1.1, Docker's registry API v2).
final class RegistryClient: Sendable {
    private let session: HTTPSession
    private let repository: String
    /// The registry's name, as the reference has it.
    private let host: String
    private let credentials: any CredentialSource
    private let state = Mutex(State())

    private struct State {
        var base: HTTPLocation?
        /// What the registry wants to be shown; nil until it has said so.
        var authorization: HTTPSession.Authorization?
    }

    /// - Parameters:
    ///   - reference: The repository, in its registry.
    ///   - session: Sends the requests.
    ///   - credentials: What to show to the registry.
    init(_ reference: DockerReference, session: HTTPSession, credentials: any CredentialSource) {
        self.session = session
        self.credentials = credentials
        host = reference.registry
        repository = reference.repository
    }

    // MARK: Content

    /// A manifest or index, and the type that the registry says it has.
    ///
    /// - Parameters:
    ///   - reference: Its tag or digest.
    ///   - limit: The most bytes.
    ///   - name: What it is, for errors.
    /// - Returns: The document as it came, not verified.
    /// - Throws: `RktError` with `notFound`, `permissionDenied`, `unavailable`.
    func manifest(_ reference: String, limit: Int, name: String) throws -> (bytes: [UInt8], mediaType: String?) {
        let types = [
            OCI.MediaType.index, OCI.MediaType.manifest, OCI.MediaType.dockerIndex, OCI.MediaType.dockerManifest,
        ]
        let found = try answer { base, authorization in
            let location = try HTTPLocation("\(repository)/manifests/\(reference)", relativeTo: base)
            let request = HTTPRequest(location, headers: types.map { ("Accept", $0) })
            return try session.document(request, authorization, limit: limit, name: name)
        }
        try check(found.response, found.body, name)
        let type = found.response.header("content-type")?.prefix { $0 != ";" }.trimming { $0 == " " }
        return (found.body, type.map(String.init))
    }

    /// A blob that is small enough for memory.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - limit: The most bytes.
    ///   - name: What it is, for errors.
    /// - Returns: The content as it came, not verified.
    /// - Throws: `RktError` as ``manifest(_:limit:name:)``.
    func document(_ digest: Digest, limit: Int, name: String) throws -> [UInt8] {
        let found = try answer { base, authorization in
            let location = try HTTPLocation("\(repository)/blobs/\(digest)", relativeTo: base)
            return try session.document(HTTPRequest(location), authorization, limit: limit, name: name)
        }
        try check(found.response, found.body, name)
        return found.body
    }

    /// A blob, piece by piece.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - size: Its size in bytes.
    ///   - name: What it is, for errors.
    ///   - sink: Takes the content, which is not verified.
    /// - Throws: `RktError` as ``manifest(_:limit:name:)``, and what `sink` throws.
    func blob(
        _ digest: Digest,
        size: Int64?,
        name: String,
        _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var position = HTTPSession.StreamPosition()
        let found = try answer { base, authorization in
            let location = try HTTPLocation("\(repository)/blobs/\(digest)", relativeTo: base)
            return try session.stream(
                HTTPRequest(location),
                authorization,
                from: &position,
                size: size,
                name: name,
                sink
            )
        }
        try check(found.response, found.body, name)
    }

    // MARK: Access

    /// Asks; where the registry wants to know who asks, says so and asks again.
    private func answer(
        _ body: (HTTPLocation, HTTPSession.Authorization?) throws -> HTTPSession.Answer
    ) throws -> HTTPSession.Answer {
        var isFresh = false
        while true {
            let base = try base()
            let authorization = state.withLock { $0.authorization }
            let found = try body(base, authorization)
            // A token may end while something large is on its way.
            if found.isFurther { isFresh = false }
            // Whoever it was redirected to is told nothing.
            guard found.response.status == 401, found.response.location.origin == base.origin, !isFresh else {
                return found
            }
            isFresh = true
            let shown = try authorize(found.response, base)
            state.withLock { $0.authorization = shown }
        }
    }

    /// Where the registry is. Where plain http may be used, that is found out first: by one request, as a server without TLS
    /// is not to be asked for it again and again.
    private func base() throws -> HTTPLocation {
        if let base = state.withLock({ $0.base }) { return base }
        var base = try HTTPLocation("https://\(host)/v2/")
        if session.client.settings.allowsHTTP {
            do {
                _ = try session.client.send(HTTPRequest(base), seconds: 60) { _, _ in throw HTTPClient.Enough() }
            } catch HTTPClient.Failure.noTLS {
                base = try HTTPLocation("http://\(host)/v2/")
            } catch is HTTPClient.Failure {
                // The first request says what is wrong.
            }
        }
        state.withLock { $0.base = base }
        return base
    }

    private func authorize(_ response: HTTPResponse, _ base: HTTPLocation) throws -> HTTPSession.Authorization? {
        let challenges = response.headers("www-authenticate").flatMap(AuthenticationChallenge.parse)
        let credential = try credentials.credential(for: host, repository: repository)
        if let challenge = challenges.first(where: { $0.scheme == "bearer" }) {
            let token = try RegistryToken(challenge, base: base, host: host, repository: repository)
            return HTTPSession.Authorization(
                origin: base.origin,
                value: "Bearer \(try token.get(session, credential))"
            )
        }
        guard challenges.contains(where: { $0.scheme == "basic" }), let credential else { return nil }
        return HTTPSession.Authorization(origin: base.origin, value: credential.authorization)
    }

    private func check(_ response: HTTPResponse, _ body: [UInt8], _ name: String) throws {
        if response.isSuccess { return }
        let who = response.location.origin
        let reason = RegistryError.summary(body).map { ": \($0)" } ?? ""
        switch response.status {
        case 404: throw RktError(.notFound, "\(name): \(who) does not have it\(reason)")
        case 401, 403:
            throw RktError(
                .permissionDenied,
                "\(name): \(who) does not let you in\(reason) (credentials: rkt's auth.d, or 'podman login \(host)')"
            )
        case 429: throw RktError(.unavailable, "\(name): \(who) has had too many requests from you\(reason)")
        default: throw RktError(.unavailable, "\(name): \(who) answers with status \(response.status)\(reason)")
        }
    }
}

/// What a registry says is wrong.
enum RegistryError {
    private struct Document: Decodable {
        struct Problem: Decodable {
            let code: String?
            let message: String?
        }
        let errors: [Problem]
    }

    /// The first problem in a few words; what a server says is shown, so nothing in it may move the terminal's cursor.
    ///
    /// - Parameter body: The body of an answer.
    /// - Returns: The words; nil when there are none.
    static func summary(_ body: [UInt8]) -> String? {
        let document = try? StrictJSON.decode(Document.self, from: body, name: "an error")
        guard let problem = document?.errors.first, let text = problem.message ?? problem.code else { return nil }
        let plain = text.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F && !$0.properties.isBidiControl }
        return String(String(String.UnicodeScalarView(plain)).prefix(200))
    }
}
