internal import CLinux
internal import Diagnostics
internal import LinuxOS
internal import Synchronization

/// What the user allows and has configured for all requests.
public struct HTTPSettings: Sendable {
    /// What this program calls itself.
    public var userAgent: String
    /// Whether plain http may be used (`--insecure-options=http`).
    public var allowsHTTP: Bool
    /// Whether any certificate of a server will do (`--insecure-options=tls`).
    public var ignoresCertificates: Bool

    /// Makes settings.
    ///
    /// - Parameters:
    ///   - userAgent: What this program calls itself.
    ///   - allowsHTTP: Whether plain http may be used.
    ///   - ignoresCertificates: Whether any certificate of a server will do.
    public init(userAgent: String, allowsHTTP: Bool = false, ignoresCertificates: Bool = false) {
        self.userAgent = userAgent
        self.allowsHTTP = allowsHTTP
        self.ignoresCertificates = ignoresCertificates
    }
}

/// Sends requests with libcurl, which knows proxies and certificates; may be used by several threads at once, each of which
/// has a connection then. Redirects are the caller's to follow: see ``HTTPSession``.
final class HTTPClient: Sendable {
    /// How a request failed for want of an answer.
    enum Failure: Error {
        /// The network; again is worth a try.
        case broken(String)
        /// The same, and it took its time: what came was too slow, or not all in time.
        case slow(String)
        /// The server could not show that it is the one.
        case untrusted(String)
        /// Nobody there speaks TLS, or nobody is there.
        case noTLS(String)
        /// Anything else.
        case impossible(String)
    }

    /// Thrown by who receives a body: no more of it is wanted, and what has come is all right.
    struct Enough: Error {}

    /// Nobody reads what comes any more.
    struct Unread: Error {}

    let settings: HTTPSettings
    private let certificates: HostCertificates
    private let idle = Mutex<[Connection]>([])

    init(_ settings: HTTPSettings, certificates: HostCertificates = HostCertificates()) throws {
        try Self.load()
        self.settings = settings
        self.certificates = certificates
    }

    static func load() throws {
        guard let missing = rkt_transfers_load() else { return }
        throw RktError(.missingDependency, "nothing can be fetched without \(String(cString: missing)): install it")
    }

    /// Sends a request.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - seconds: The most it may take; 0 for no limit but the pace.
    ///   - pace: What is too slow.
    ///   - receive: Takes the body piece by piece, with the head of the response.
    /// - Returns: The head of the response, whatever its status.
    /// - Throws: ``Failure``, or what `receive` throws.
    func send(
        _ request: HTTPRequest,
        seconds: Int = 0,
        pace: HTTPPace = .patient,
        _ receive: @escaping (HTTPResponse, UnsafeRawBufferPointer) throws -> Void
    ) throws -> HTTPResponse {
        let connection = try idle.withLock { $0.popLast() } ?? Connection()
        let files = try certificates.files(for: request.location.origin)
        let exchange = Exchange(request.location, receive)
        let result = connection.run(request, exchange, settings, files, seconds: seconds, pace)
        // The connection is no more use then.
        if exchange.failure is Enough { return exchange.response }
        if let failure = exchange.failure { throw failure }
        let words = "\(request.location.origin): \(connection.error)"
        switch Int(result) {
        case RKT_EXCHANGE_DONE: break
        // No sink has refused anything: whoever reads has gone.
        case RKT_EXCHANGE_REFUSED: throw Unread()
        case RKT_EXCHANGE_BROKEN: throw Failure.broken(words)
        case RKT_EXCHANGE_SLOW: throw Failure.slow(words)
        case RKT_EXCHANGE_UNTRUSTED: throw Failure.untrusted(words)
        case RKT_EXCHANGE_NO_TLS: throw Failure.noTLS(words)
        default: throw Failure.impossible(words)
        }
        idle.withLock { $0.append(connection) }
        return exchange.response
    }
}

/// One of libcurl's handles. libcurl lets one thread at a time use it, which is whoever has taken it out of the client's list:
/// that is why it may go from one to another.
private final class Connection: @unchecked Sendable {
    private let handle: OpaquePointer

    init() throws {
        guard let handle = rkt_connection_new() else { throw RktError(.failed, "libcurl gives no connection") }
        self.handle = handle
    }

    deinit {
        rkt_connection_free(handle)
    }

    var error: String { String(cString: rkt_connection_error(handle)) }

    func run(
        _ request: HTTPRequest,
        _ exchange: Exchange,
        _ settings: HTTPSettings,
        _ files: HostFiles,
        seconds: Int,
        _ pace: HTTPPace
    ) -> CInt {
        // libcurl sends no header of its own that could tell who this is, but for those asked for here.
        let lines = request.headers.map { "\($0.name): \($0.value)" }
        return withCStrings([request.location.description, settings.userAgent] + lines) { texts in
            var headers = Array(texts[2...]) as [UnsafePointer<CChar>?]
            headers.append(nil)
            return withOptionalCStrings([files.certificate, files.key]) { paths in
                headers.withUnsafeBufferPointer { headers in
                    guard let first = headers.baseAddress else { return CInt(RKT_EXCHANGE_IMPOSSIBLE) }
                    return withOptionalBytes(request.form) { form in
                        withOptionalBytes(files.authorities) { authorities in
                            var parameters = rkt_exchange(
                                url: texts[0],
                                headers: first,
                                user_agent: texts[1],
                                allows_http: settings.allowsHTTP ? 1 : 0,
                                ignores_certificates: settings.ignoresCertificates ? 1 : 0,
                                seconds: seconds,
                                least_bytes: pace.bytesPerSecond,
                                least_seconds: pace.seconds,
                                is_direct: request.location.origin.isLoopback ? 1 : 0,
                                watched: request.reader?.writingEnd ?? -1,
                                form: form?.baseAddress,
                                form_size: form?.count ?? 0,
                                authorities: authorities?.baseAddress,
                                authorities_size: authorities?.count ?? 0,
                                certificate: paths[0],
                                key: paths[1],
                                header: { Exchange.of($0)?.takeHeader($1, $2) ?? 1 },
                                body: { Exchange.of($0)?.takeBody($1, $2) ?? 1 },
                                context: Unmanaged.passUnretained(exchange).toOpaque()
                            )
                            return rkt_connection_run(handle, &parameters)
                        }
                    }
                }
            }
        }
    }
}

/// What comes back while an exchange lasts.
private final class Exchange {
    private let location: HTTPLocation
    private let receive: (HTTPResponse, UnsafeRawBufferPointer) throws -> Void
    private var head = HTTPHeadReader()
    private var received: HTTPResponse?
    private(set) var failure: (any Error)?

    init(_ location: HTTPLocation, _ receive: @escaping (HTTPResponse, UnsafeRawBufferPointer) throws -> Void) {
        self.location = location
        self.receive = receive
    }

    static func of(_ context: UnsafeMutableRawPointer?) -> Exchange? {
        context.map { Unmanaged<Exchange>.fromOpaque($0).takeUnretainedValue() }
    }

    var response: HTTPResponse {
        received ?? HTTPResponse(location: location, status: head.status, headers: head.headers)
    }

    func takeHeader(_ bytes: UnsafeRawPointer, _ count: Int) -> CInt {
        // What comes behind the body is nobody's.
        if head.isWhole { return 0 }
        let line = String(decoding: UnsafeRawBufferPointer(start: bytes, count: count), as: UTF8.self)
        if head.take(line) { return 0 }
        failure = RktError(.invalidData, "\(location.origin) answers with headers that cannot be read, or too many")
        return 1
    }

    func takeBody(_ bytes: UnsafeRawPointer, _ count: Int) -> CInt {
        let response = response
        received = response
        do {
            try receive(response, UnsafeRawBufferPointer(start: bytes, count: count))
            return 0
        } catch {
            failure = error
            return 1
        }
    }
}

/// Calls `body` with texts as C has them.
private func withCStrings<R>(_ texts: [String], _ body: ([UnsafePointer<CChar>]) -> R) -> R {
    var found: [UnsafePointer<CChar>] = []
    func next(_ rest: ArraySlice<String>) -> R {
        guard let first = rest.first else { return body(found) }
        return first.withCString { text in
            found.append(text)
            return next(rest.dropFirst())
        }
    }
    return next(texts[...])
}

private func withOptionalCStrings<R>(_ texts: [String?], _ body: ([UnsafePointer<CChar>?]) -> R) -> R {
    withCStrings(texts.map { $0 ?? "" }) { pointers in
        body(zip(texts, pointers).map { $0 == nil ? nil : $1 })
    }
}

/// Calls `body` with bytes as C has them; with nil where there are none.
private func withOptionalBytes<R>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> R) -> R {
    guard let bytes else { return body(nil) }
    return bytes.withUnsafeBytes { body($0) }
}
