internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS

/// An ACI on its way from a server into a file that nobody else can open.
struct ArchiveDownload {
    /// What a server says to the question for an ACI.
    enum Outcome {
        /// It is what was sent before.
        case unchanged(ImageRecord.Freshness)
        /// It has come.
        case file(SharedFD, size: Int64, ImageRecord.Freshness)
    }

    let session: HTTPSession
    let credentials: any DomainCredentialSource
    let work: ImageImport
    let progress: ProgressSink?

    /// Asks for an ACI.
    ///
    /// - Parameters:
    ///   - url: Where it is.
    ///   - tag: The server's name for what is here already, if there is something.
    ///   - name: What it is, for errors and progress.
    /// - Returns: What came.
    /// - Throws: `RktError` with `unavailable` when it cannot be had, `limitExceeded` for more than any image has.
    func run(_ url: String, tag: String?, name: String) throws -> Outcome {
        let location = try HTTPLocation(url)
        var request = HTTPRequest(location)
        if let tag { request.headers.append(("If-None-Match", tag)) }
        let file = SharedFD(
            try work.work.directory.open(work.newName("download"), flags: O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        )
        let limit = work.store.limits.blobBytes
        let tooLarge = RktError(.limitExceeded, "it is larger than \(limit) bytes")
        var position = HTTPSession.StreamPosition()
        var size: Int64 = 0
        var total: Int64?
        var version: String?
        let answer = try session.stream(
            request,
            try credentials.authorization(for: location),
            from: &position,
            size: nil,
            name: name,
            begin: { response in
                let found = response.header("etag")
                guard size == 0 else {
                    // Two halves of two versions are none.
                    guard found == version else {
                        throw RktError(.unavailable, "it changed while it was fetched: try again")
                    }
                    return
                }
                version = found
                total = response.contentLength
                if let total, total > limit { throw tooLarge }
            }
        ) { piece in
            guard size + Int64(piece.count) <= limit else { throw tooLarge }
            try file.descriptor.writeAll(piece, name: "what comes of \(name)")
            size += Int64(piece.count)
            progress?(name, size, total)
        }
        let response = answer.response
        if response.status == 304, tag != nil, size == 0 { return .unchanged(response.freshness(tag: tag)) }
        guard [200, 206].contains(response.status) else { throw response.refusal }
        let raw = file.descriptor.rawValue
        try system("reading what came of \(name)") { lseek(raw, 0, SEEK_SET) }
        return .file(file, size: size, response.freshness(tag: nil))
    }
}

extension HTTPResponse {
    /// Why what was asked for did not come.
    var refusal: RktError {
        let who = location.origin
        switch status {
        case 404, 410: return RktError(.notFound, "\(who) does not have it (bad HTTP status code: \(status))")
        case 401, 403:
            let hint = "credentials: a file of kind auth in rkt's auth.d"
            return RktError(.permissionDenied, "\(who) does not let you in (bad HTTP status code: \(status); \(hint))")
        default: return RktError(.unavailable, "\(who) answers with a bad HTTP status code: \(status)")
        }
    }

    /// How long this may be used without asking again.
    ///
    /// - Parameter tag: The name of the version, where the answer has none.
    /// - Returns: What to note.
    func freshness(tag: String?) -> ImageRecord.Freshness {
        let own = header("etag").flatMap { $0.utf8.count <= Self.tagLimit ? $0 : nil }
        return ImageRecord.Freshness(tag: own ?? tag, seconds: CacheControl(headers("cache-control")).seconds)
    }

    /// The most bytes of a version's name.
    private static let tagLimit = 1024
}

/// What a server says about keeping what it sends (`Cache-Control`, RFC 9111, 5.2.2).
struct CacheControl: Equatable {
    /// For how many seconds nobody has to ask again.
    let seconds: Int64

    /// A year: no server means more.
    private static let limit: Int64 = 31_536_000

    /// Reads the header.
    ///
    /// - Parameter values: Its values, one for each time it is there.
    init(_ values: [String]) {
        let words = values.flatMap { $0.split(separator: ",") }.map { String($0.trimming(\.isWhitespace)).lowercased() }
        // What is not to be kept is asked for each time, whatever else is said.
        guard
            !words.contains(where: { word in
                ["no-store", "no-cache"].contains { word == $0 || word.hasPrefix("\($0)=") }
            })
        else {
            seconds = 0
            return
        }
        let age = words.first { $0.hasPrefix("max-age=") }?.dropFirst("max-age=".count).trimming { $0 == "\"" }
        guard let age, !age.isEmpty, age.utf8.allSatisfy({ (48...57).contains($0) }) else {
            seconds = 0
            return
        }
        // More digits than fit are as many seconds as there may be.
        seconds = min(Int64(age) ?? Self.limit, Self.limit)
    }
}
