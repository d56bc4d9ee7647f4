internal import Diagnostics
internal import Glibc

/// Sends requests until there is an answer: follows redirects, tries again what may come right, and shows credentials to
/// those alone whom they are for.
struct HTTPSession: Sendable {
    /// What is shown, and to whom alone.
    struct Authorization: Sendable {
        let origin: HTTPLocation.Origin
        let value: String
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

    private static let redirectLimit = 10
    private static let failureLimit = 5
    /// How many connections the content of one stream may come in.
    private static let pieceLimit = 100
    /// The longest that a server may have this wait, in seconds.
    private static let waitLimit = 120
    /// What of the body of an error is read.
    private static let errorLimit = 64 << 10

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
            let response = try retrying(&failures) {
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
        fileprivate var done: Int64 = 0
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
    ///   - sink: Takes the content.
    /// - Returns: The last answer, which is an error of the server's where not all has come, and the beginning of an error's body.
    /// - Throws: `RktError` with `unavailable` when it cannot be had, `digestMismatch` for more than the size; what `sink` throws.
    func stream(
        _ request: HTTPRequest,
        _ authorization: Authorization? = nil,
        from position: inout StreamPosition,
        size: Int64?,
        name: String,
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
            let response = try retrying(&failures) {
                try follow(request, authorization) { response, piece in
                    guard response.isSuccess else { return try Self.takeError(&body, piece) }
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
                if failures < Self.failureLimit { continue }
            }
            return Answer(response: response, body: body, isFurther: done > beginning)
        }
    }

    // MARK: Again

    /// Tries once; waits when that failed in a way that may come right.
    ///
    /// - Parameters:
    ///   - failures: How many tries have failed.
    ///   - body: The try.
    /// - Returns: The answer; nil to try again.
    /// - Throws: `RktError` when another try is not worth it, and what `body` throws else.
    private func retrying(_ failures: inout Int, _ body: () throws -> HTTPResponse) throws -> HTTPResponse? {
        do {
            let response = try body()
            guard [408, 429, 500, 502, 503, 504].contains(response.status) else { return response }
            failures += 1
            if failures >= Self.failureLimit { return response }
            pause(max(patience(failures), 1000 * min(response.retryAfter ?? 0, Self.waitLimit)))
        } catch HTTPClient.Failure.broken(let words) {
            failures += 1
            if failures >= Self.failureLimit { throw RktError(.unavailable, "\(words) (tried \(failures) times)") }
            pause(patience(failures))
        } catch HTTPClient.Failure.untrusted(let words) {
            throw RktError(.permissionDenied, "\(words) (for a certificate of your own: /etc/rkt/certs.d/HOST/ca.crt)")
        } catch HTTPClient.Failure.noTLS(let words) {
            let hint = client.settings.allowsHTTP ? "" : " (a server without TLS: --insecure-options=http)"
            throw RktError(.unavailable, words + hint)
        } catch HTTPClient.Failure.impossible(let words) {
            throw RktError(.unavailable, words)
        }
        return nil
    }

    /// Waits: here it is time itself that matters.
    private func pause(_ milliseconds: Int) { _ = poll(nil, 0, CInt(clamping: milliseconds)) }

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
                sent.headers.append(("Authorization", authorization.value))
            }
            let response = try client.send(sent, seconds: seconds) { response, piece in
                if response.isRedirect { throw HTTPClient.Enough() }
                try receive(response, piece)
            }
            guard response.isRedirect, let target = response.header("location") else { return response }
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

    /// How many seconds to wait (RFC 9110, 10.2.3), if the server says a number of them.
    fileprivate var retryAfter: Int? { header("retry-after").flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }

    /// Whether the part that comes begins there (`Content-Range: bytes FIRST-LAST/SIZE`).
    fileprivate func begins(at offset: Int64) -> Bool {
        header("content-range")?.hasPrefix("bytes \(offset)-") ?? false
    }
}
