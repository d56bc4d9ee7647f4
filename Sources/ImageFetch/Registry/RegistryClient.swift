internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import LinuxOS
internal import Manifests
internal import Synchronization

/// A repository in a registry (OCI distribution specification 1.1, Docker's registry API v2).
final class RegistryClient: Sendable {
    private let session: HTTPSession
    private let repository: String
    /// The registry's name, as the reference has it.
    private let host: String
    private let credentials: any CredentialSource
    private let tokenServers: [RegistryHost]
    private let state = Mutex(State())
    /// What is for this registry, once it was looked up: a helper is asked once, whatever many threads want.
    private let found = Mutex<Credential??>(nil)

    private struct State {
        var base: HTTPLocation?
        /// What the registry wants to be shown; nil until it has said so.
        var authorization: HTTPSession.Authorization?
    }

    /// Whether credentials may be shown in clear to another host than this one: whoever is on the way can make it seem
    /// that a registry has no TLS.
    private let isInsecure: Bool

    /// - Parameters:
    ///   - reference: The repository, in its registry.
    ///   - session: Sends the requests.
    ///   - credentials: What to show to the registry.
    ///   - tokenServers: What else may be shown its credentials.
    ///   - isInsecure: Whether the configuration says that this registry has no TLS.
    init(
        _ reference: DockerReference,
        session: HTTPSession,
        credentials: any CredentialSource,
        tokenServers: [RegistryHost] = [],
        isInsecure: Bool = false
    ) {
        self.isInsecure = isInsecure
        self.session = session
        self.credentials = credentials
        self.tokenServers = tokenServers
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
    ///   - position: Where to go on, and afterwards how far it has come.
    ///   - reader: Where the content goes.
    ///   - sink: Takes the content, which is not verified.
    /// - Throws: `RktError` as ``manifest(_:limit:name:)``, and what `sink` throws.
    func blob(
        _ digest: Digest,
        size: Int64?,
        name: String,
        from position: inout HTTPSession.StreamPosition,
        for reader: LocalStream? = nil,
        _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        let found = try answer { base, authorization in
            var request = HTTPRequest(try HTTPLocation("\(repository)/blobs/\(digest)", relativeTo: base))
            request.reader = reader
            return try session.stream(
                request,
                authorization,
                from: &position,
                size: size,
                name: name,
                sink
            )
        }
        try check(found.response, found.body, name)
    }

    /// The lists of what refers to a manifest (OCI distribution specification 1.1), one a page.
    ///
    /// - Parameters:
    ///   - digest: The manifest's digest.
    ///   - limit: The most bytes of a page.
    ///   - name: What they are, for errors.
    /// - Returns: The lists as they came, not verified.
    /// - Throws: `RktError` as ``manifest(_:limit:name:)``.
    func referrerLists(_ digest: Digest, limit: Int, name: String) throws -> [[UInt8]] {
        if let lists = try referrers(digest, limit: limit, name: name) { return lists }
        // Where the registry does not keep the list itself, tools do, at a tag.
        do {
            return [try manifest("\(digest.algorithm.rawValue)-\(digest.hex)", limit: limit, name: name).bytes]
        } catch let error as RktError where error.code == .notFound {
            return []
        }
    }

    /// The same; nil when the registry has no such thing.
    private func referrers(_ digest: Digest, limit: Int, name: String) throws -> [[UInt8]]? {
        var pages: [[UInt8]] = []
        var next: (path: String, from: HTTPLocation?)? = ("\(repository)/referrers/\(digest)", nil)
        while let (path, from) = next, pages.count < Self.pageLimit {
            let found = try answer { base, authorization in
                let location = try HTTPLocation(path, relativeTo: from ?? base)
                let request = HTTPRequest(location, headers: [("Accept", OCI.MediaType.index)])
                return try session.document(request, authorization, limit: limit, name: name)
            }
            // Those that do not know the question say so in several ways.
            if pages.isEmpty, [400, 404, 405, 406, 501].contains(found.response.status) { return nil }
            try check(found.response, found.body, name)
            pages.append(found.body)
            next = found.response.nextPage.map { ($0, found.response.location) }
        }
        return pages
    }

    private static let pageLimit = 8

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

    /// Where the registry is. Where plain http may be used, that is found out first: by one request, as a server
    /// without TLS is not to be asked for it again and again.
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
        let isSafe = base.origin.isEncrypted || base.origin.isLoopback || isInsecure
        let credential = isSafe ? try credential() : nil
        if let challenge = challenges.first(where: { $0.scheme == "bearer" }) {
            if case .registryToken(let token) = credential {
                return HTTPSession.Authorization(origin: base.origin, value: "Bearer \(token)")
            }
            let token = try RegistryToken(
                challenge,
                base: base,
                host: host,
                repository: repository,
                servers: tokenServers
            )
            return HTTPSession.Authorization(
                origin: base.origin,
                value: "Bearer \(try token.get(session, credential))"
            )
        }
        guard challenges.contains(where: { $0.scheme == "basic" }), let shown = credential?.authorization else {
            return nil
        }
        return HTTPSession.Authorization(origin: base.origin, value: shown)
    }

    private func credential() throws -> Credential? {
        try found.withLock { found in
            if let known = found { return known }
            let credential = try credentials.credential(for: host, repository: repository)
            if case .registryToken(let token) = credential, !token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) {
                throw RktError(.invalidData, "the registrytoken for \(host) is none that could be shown")
            }
            found = .some(credential)
            return credential
        }
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

extension HTTPResponse {
    /// Where a list goes on (`Link: <URL>; rel="next"`, RFC 8288).
    fileprivate var nextPage: String? {
        guard let link = header("link"), link.hasPrefix("<"), let end = link.firstIndex(of: ">") else { return nil }
        let relation = link[end...].dropFirst().filter { $0 != " " && $0 != "\"" }
        return relation.hasPrefix(";rel=next") ? String(link[..<end].dropFirst()) : nil
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
