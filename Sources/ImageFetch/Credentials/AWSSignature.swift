internal import Crypto
internal import FoundationEssentials
internal import Glibc
internal import Manifests

/// Signs requests to Amazon's S3 (AWS Signature Version 4, without a body).
struct AWSSignature {
    /// The headers that the request must have, besides `Host`.
    let headers: [(name: String, value: String)]

    /// The digest of no body.
    private static let emptyHash = SHA256.hash(data: Data()).hex
    private static let algorithm = "AWS4-HMAC-SHA256"

    /// Signs a `GET`.
    ///
    /// - Parameters:
    ///   - location: The URL.
    ///   - accessKeyID: Whose key it is.
    ///   - secretAccessKey: The key.
    ///   - region: The region of the server.
    ///   - time: The time in UTC, as `YYYYMMDDTHHMMSSZ`.
    ///   - more: Other headers that are to be signed, the names in lower case.
    init(
        _ location: HTTPLocation,
        accessKeyID: String,
        secretAccessKey: String,
        region: String,
        time: String,
        more: [(name: String, value: String)] = []
    ) {
        let parts = Self.parts(of: location)
        let own = [("x-amz-content-sha256", Self.emptyHash), ("x-amz-date", time)]
        let signed = (more + own + [("host", parts.host)]).sorted { $0.0 < $1.0 }
        let names = signed.map(\.0).joined(separator: ";")
        let request = [
            "GET", parts.path, parts.query, signed.map { "\($0.0):\($0.1)\n" }.joined(), names, Self.emptyHash,
        ].joined(separator: "\n")
        let date = String(time.prefix(8))
        let scope = "\(date)/\(region)/s3/aws4_request"
        let text = [Self.algorithm, time, scope, SHA256.hash(data: Data(request.utf8)).hex].joined(separator: "\n")
        var key = Array("AWS4\(secretAccessKey)".utf8)
        for part in [date, region, "s3", "aws4_request"] { key = Self.code(key, part) }
        let signature = Self.code(key, text).hex
        headers =
            own.map { (name: $0.0, value: $0.1) } + [
                (
                    name: "Authorization",
                    value:
                        "\(Self.algorithm) Credential=\(accessKeyID)/\(scope),SignedHeaders=\(names),Signature=\(signature)"
                )
            ]
    }

    private static func code(_ key: [UInt8], _ text: String) -> [UInt8] {
        Array(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: SymmetricKey(data: key)))
    }

    // MARK: URLs

    /// What of a URL is signed: everything escaped in the one way that both sides make of it.
    private static func parts(of location: HTTPLocation) -> (host: String, path: String, query: String) {
        let whole = location.description
        let rest = whole.drop { $0 != "/" }.dropFirst(2)
        let place = rest.drop { $0 != "/" && $0 != "?" }
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        // The scheme's own port is left out of what is sent as the host.
        let ending = ":\(location.origin.port)"
        let isPlain = location.origin.port == "443" && authority.hasSuffix(ending)
        let host = String(isPlain ? authority.dropLast(ending.count) : authority)
        let path = place.prefix { $0 != "?" }
        let query = place.drop { $0 != "?" }.dropFirst()
        let pairs = query.split(separator: "&").map { pair -> String in
            let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return "\(escaped(sides[0]))=\(sides.count > 1 ? escaped(sides[1]) : "")"
        }
        return (host, path.isEmpty ? "/" : escaped(path, keeping: "/"), pairs.sorted().joined(separator: "&"))
    }

    private static func escaped(_ text: Substring, keeping others: String = "") -> String {
        PercentEncoding.encode(PercentEncoding.decode(text) ?? Array(text.utf8), keeping: others)
    }

    // MARK: Time and place

    /// The region that the name of a server of S3 says.
    ///
    /// - Parameter host: The server's name.
    /// - Returns: The region; that of names without one where there is none.
    static func region(ofHost host: String) -> String {
        let labels = host.lowercased().split(separator: ".").map(String.init)
        guard let end = labels.lastIndex(of: "amazonaws"), end > 0 else { return defaultRegion }
        // s3-REGION.amazonaws.com, s3.REGION.amazonaws.com, s3.dualstack.REGION.amazonaws.com, with or without a
        // bucket.
        let last = labels[end - 1]
        if last.hasPrefix("s3-") { return String(last.dropFirst(3)) }
        let hasRegion = labels[..<(end - 1)].contains("s3")
        return hasRegion ? last : defaultRegion
    }

    private static let defaultRegion = "us-east-1"

    /// The time in UTC, as it is signed.
    static func now() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        func digits(_ number: CInt) -> String { (number < 10 ? "0" : "") + "\(number)" }
        let date = "\(parts.tm_year + 1900)\(digits(parts.tm_mon + 1))\(digits(parts.tm_mday))"
        return "\(date)T\(digits(parts.tm_hour))\(digits(parts.tm_min))\(digits(parts.tm_sec))Z"
    }
}
