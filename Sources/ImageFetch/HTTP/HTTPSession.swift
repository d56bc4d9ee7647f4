internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Sends requests until there is an answer: follows redirects, tries again what may come right, and shows credentials to
/// those alone whom they are for.
struct HTTPSession: Sendable {
    /// What is shown, and to whom alone.
    struct Authorization: Sendable {
        let origin: HTTPLocation.Origin
        /// The headers for a request to a URL there.
        let headers: @Sendable (HTTPLocation) -> [(name: String, value: String)]

        init(origin: HTTPLocation.Origin, value: String) {
            self.init(origin: origin) { _ in [("Authorization", value)] }
        }

        init(
            origin: HTTPLocation.Origin,
            headers: @escaping @Sendable (HTTPLocation) -> [(name: String, value: String)]
        ) {
            self.origin = origin
            self.headers = headers
        }
    }

    /// Takes the body of an answer that is none of an error.
    typealias Receiver = (HTTPResponse, UnsafeRawBufferPointer) throws -> Void

    let client: HTTPClient
    /// How long to wait before another try, in milliseconds, by the number of tries that failed.
    var patience: @Sendable (_ failures: Int) -> Int = { failures in
        // Clients that were turned away together must not come back together.
        let most = 500 << min(failures - 1, 5)
        return Int.random(in: (most / 2)...most)
    }

    /// How often to try.
    var failureLimit = 5
    /// What is too slow.
    var pace = HTTPPace.patient

    private static let redirectLimit = 10
    /// How many connections the content of one stream may come in.
    private static let pieceLimit = 100
    /// The longest that a server may have this wait, in seconds.
    private static let waitLimit: Int64 = 120
    /// What of the body of an error is read.
    private static let errorLimit = 64 << 10

    /// The same for a server that may be without TLS, or with any certificate.
    func insecure() throws -> HTTPSession {
        var settings = client.settings
        settings.allowsHTTP = true
        settings.ignoresCertificates = true
        var copy = HTTPSession(client: try HTTPClient(settings))
        copy.patience = patience
        copy.failureLimit = failureLimit
        copy.pace = pace
        return copy
    }

    /// What a server has answered at last.
    struct Answer {
        let response: HTTPResponse
        /// Of an error, the beginning.
        var body: [UInt8] = []
        /// Whether content has come before.
        var isFurther = false
    }

    // MARK: Documents

    /// The longest that a document may take, in seconds.
    private static let documentLimit = 300

    /// Gets a small document.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - authorization: What to show, and to whom.
    ///   - limit: The most bytes.
    ///   - name: What it is, for errors.
    /// - Returns: The answer, whatever its status, and its body; of an error's, the beginning.
    /// - Throws: `RktError` with `unavailable` when there is no answer, `limitExceeded` for a larger one.
    func document(
        _ request: HTTPRequest,
        _ authorization: Authorization? = nil,
        limit: Int,
        name: String
    ) throws -> Answer {
        var failures = 0
        while true {
            var body: [UInt8] = []
            let response = try retrying(&failures, for: request.reader) {
                body = []
                return try follow(request, authorization, seconds: Self.documentLimit) { response, piece in
                    guard response.isSuccess else { return try Self.takeError(&body, piece) }
                    guard body.count + piece.count <= limit else {
                        throw RktError(.limitExceeded, "\(name) is larger than \(limit) bytes")
                    }
                    body += piece
                }
            }
            if let response { return Answer(response: response, body: body) }
        }
    }

    private static func takeError(_ body: inout [UInt8], _ piece: UnsafeRawBufferPointer) throws {
        body += piece.prefix(errorLimit - body.count)
        if body.count >= errorLimit { throw HTTPClient.Enough() }
    }

    // MARK: Streams

    /// How far the content of a stream has come.
    struct StreamPosition {
        /// How many bytes have come.
        fileprivate(set) var done: Int64 = 0
        fileprivate var pieces = 0
    }

    /// Gets content of a known size piece by piece; where a connection breaks, another one goes on.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - authorization: What to show, and to whom.
    ///   - position: Where to go on; where it has ended afterwards.
    ///   - size: The size in bytes, nil when nobody said.
    ///   - name: What it is, for errors.
    ///   - begin: Looks at the head of each answer with content, before that.
    ///   - sink: Takes the content.
    /// - Returns: The last answer, which is an error of the server's where not all has come, and the beginning of an error's body.
    /// - Throws: `RktError` with `unavailable` when it cannot be had, `digestMismatch` for more than the size; what `sink` throws.
    func stream(
        _ request: HTTPRequest,
        _ authorization: Authorization? = nil,
        from position: inout StreamPosition,
        size: Int64?,
        name: String,
        begin: @escaping (HTTPResponse) throws -> Void = { _ in },
        _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws -> Answer {
        var failures = 0
        let beginning = position.done
        var done = beginning
        defer { position.done = done }
        while true {
            var request = request
            let start = done
            if start > 0 { request.headers.append(("Range", "bytes=\(start)-")) }
            // How much comes that was there already, from a server that cannot begin in the middle.
            var repeated: Int64 = 0
            var last: HTTPResponse?
            var body: [UInt8] = []
            let response = try retrying(&failures, for: request.reader) {
                try follow(request, authorization) { response, piece in
                    guard response.isSuccess else { return try Self.takeError(&body, piece) }
                    if last == nil { try begin(response) }
                    last = response
                    var piece = piece[...]
                    if start > 0, response.status != 206 {
                        let passed = min(Int64(piece.count), start - repeated)
                        repeated += passed
                        piece = piece.dropFirst(Int(passed))
                    } else if start > 0, done == start, !response.begins(at: start) {
                        throw RktError(
                            .invalidData,
                            "\(name): \(response.location.origin) sends another part than asked for"
                        )
                    }
                    if piece.isEmpty { return }
                    if let size, done + Int64(piece.count) > size {
                        throw RktError(
                            .digestMismatch,
                            "\(name) has more than the \(size) bytes that its manifest says"
                        )
                    }
                    try sink(UnsafeRawBufferPointer(rebasing: piece))
                    done += Int64(piece.count)
                }
            }
            // All has come, though the connection broke behind it.
            if response == nil, let last, done == size { return Answer(response: last) }
            // What has come further has not failed, but a server that gives some bytes each time would never end.
            position.pieces += 1
            if done > start, position.pieces < Self.pieceLimit { failures = min(failures, 1) }
            guard let response else { continue }
            if response.isSuccess, let size, done < size, response.contentLength == nil {
                // Only the end of the connection has said that this is the end.
                failures += 1
                if failures < failureLimit { continue }
            }
            return Answer(response: response, body: body, isFurther: done > beginning)
        }
    }

    // MARK: Again

    /// Tries once; waits when that failed in a way that may come right.
    ///
    /// - Parameters:
    ///   - failures: How many tries have failed.
    ///   - reader: Where the answer goes.
    ///   - body: The try.
    /// - Returns: The answer; nil to try again.
    /// - Throws: `RktError` when another try is not worth it, and what `body` throws else.
    private func retrying(
        _ failures: inout Int,
        for reader: LocalStream?,
        _ body: () throws -> HTTPResponse
    ) throws -> HTTPResponse? {
        do {
            let response = try body()
            guard [408, 429, 500, 502, 503, 504].contains(response.status) else { return response }
            failures += 1
            if failures >= failureLimit { return response }
            let wanted = RetryAfter.seconds(response, now: Int64(time(nil))) ?? 0
            try pause(max(patience(failures), 1000 * Int(min(wanted, Self.waitLimit))), reader)
        } catch HTTPClient.Failure.slow(let words) where pace.isFinal {
            throw RktError(.unavailable, words)
        } catch HTTPClient.Failure.broken(let words), HTTPClient.Failure.slow(let words) {
            failures += 1
            if failures >= failureLimit { throw RktError(.unavailable, "\(words) (tried \(failures) times)") }
            try pause(patience(failures), reader)
        } catch HTTPClient.Failure.untrusted(let words) {
            throw RktError(.permissionDenied, "\(words) (for a certificate of your own: /etc/rkt/certs.d/HOST/ca.crt)")
        } catch HTTPClient.Failure.noTLS(let words) {
            let hint = client.settings.allowsHTTP ? "" : " (a server without TLS: --insecure-options=http)"
            throw RktError(.unavailable, words + hint)
        } catch HTTPClient.Failure.impossible(let words) {
            throw RktError(.unavailable, words)
        } catch is HTTPClient.Unread {
            throw Self.unread
        }
        return nil
    }

    /// Waits: here it is time itself that matters, unless nobody wants the answer any more.
    private func pause(_ milliseconds: Int, _ reader: LocalStream?) throws {
        guard let reader else {
            _ = poll(nil, 0, CInt(clamping: milliseconds))
            return
        }
        if reader.isAbandoned(within: milliseconds) { throw Self.unread }
    }

    private static let unread = RktError(.cancelled, "nobody reads what comes any more")

    /// Sends a request, and where a server says that it is elsewhere, there.
    private func follow(
        _ request: HTTPRequest,
        _ authorization: Authorization?,
        seconds: Int = 0,
        _ receive: @escaping Receiver
    ) throws -> HTTPResponse {
        var request = request
        for _ in 0...Self.redirectLimit {
            let origin = request.location.origin
            guard origin.isEncrypted || client.settings.allowsHTTP else {
                throw RktError(
                    .permissionDenied,
                    "\(origin) is not encrypted, and anybody on the way can change what comes (try --insecure-options=http)"
                )
            }
            var sent = request
            if let authorization, authorization.origin == origin {
                sent.headers += authorization.headers(request.location)
            }
            let response = try client.send(sent, seconds: seconds, pace: pace) { response, piece in
                if response.isRedirect { throw HTTPClient.Enough() }
                try receive(response, piece)
            }
            guard response.isRedirect, let target = response.header("location") else { return response }
            // What is in a form is for whom it was sent to.
            guard request.form == nil else {
                throw RktError(.permissionDenied, "\(origin) leads elsewhere, where what was sent to it must not go")
            }
            let next = try HTTPLocation(target, relativeTo: request.location)
            if origin.isEncrypted, !next.origin.isEncrypted, !client.settings.allowsHTTP {
                throw RktError(.permissionDenied, "\(origin) leads to \(next.origin), which is not encrypted")
            }
            request.location = next
        }
        throw RktError(.unavailable, "\(request.location.origin): too many redirects")
    }
}

extension HTTPResponse {
    fileprivate var isRedirect: Bool { [301, 302, 303, 307, 308].contains(status) }

    /// Whether the part that comes begins there (`Content-Range: bytes FIRST-LAST/SIZE`).
    fileprivate func begins(at offset: Int64) -> Bool {
        header("content-range")?.hasPrefix("bytes \(offset)-") ?? false
    }
}
