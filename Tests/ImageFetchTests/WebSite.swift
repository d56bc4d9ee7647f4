import Diagnostics
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization

@testable import ImageFetch

/// A server that has pages and ACIs, as if it were all hosts of all names.
final class WebSite: Sendable {
    typealias Answer = TestServer.Answer

    let server: TestServer
    private let content: Content
    private let session: HTTPSession

    /// What is where, by the path with its query.
    final class Content: Sendable {
        let answers = Mutex<[String: @Sendable (TestServer.Request) -> Answer]>([:])
    }

    init(http: Bool = true) throws {
        let content = Content()
        self.content = content
        server = try TestServer { request, _ in
            content.answers.withLock { $0[request.path] }?(request) ?? Answer(status: 404)
        }
        var session = HTTPSession(client: try HTTPClient(HTTPSettings(userAgent: "rkt/test", allowsHTTP: http)))
        session.patience = { _ in 0 }
        self.session = session
    }

    func put(_ path: String, _ answer: @escaping @Sendable (TestServer.Request) -> Answer) {
        content.answers.withLock { $0[path] = answer }
    }

    func put(_ path: String, _ body: [UInt8], headers: [(String, String)] = []) {
        put(path) { _ in Answer(headers: headers, body: body) }
    }

    /// Puts a page that says where images are: below `/images/` here.
    func putPage(_ name: String, _ prefix: String, _ more: String = "") {
        let template = "\(prefix) http://\(server.host)/images/{name}-{version}.{ext}"
        put("/\(name)?ac-discovery=1", Array("<meta name=\"ac-discovery\" content=\"\(template)\">\(more)".utf8))
    }

    /// The paths that were asked for, in order.
    var paths: [String] { server.requests.map(\.path) }

    var discovery: AppcDiscovery {
        AppcDiscovery(session: session, credentials: NoCredentials()) { [host = server.host] _, name in
            "http://\(host)/\(name)"
        }
    }

    func fetcher(
        _ store: ImageStore,
        signatures: AppcSignatures? = nil,
        credentials: any DomainCredentialSource = NoCredentials(),
        findKeys: @escaping @Sendable (String) throws -> Void = { _ in },
        notice: @escaping @Sendable (String) -> Void = { _ in }
    ) -> ArchiveFetcher {
        ArchiveFetcher(
            store: store,
            session: session,
            credentials: credentials,
            discovery: discovery,
            signatures: signatures,
            findKeys: findKeys,
            notice: notice
        )
    }
}
