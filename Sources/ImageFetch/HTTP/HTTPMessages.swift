internal import LinuxOS

/// A request for content (`GET`), or with a form (`POST`).
struct HTTPRequest: Sendable {
    var location: HTTPLocation
    var headers: [(name: String, value: String)] = []
    /// What is sent (`application/x-www-form-urlencoded`); it goes to this location alone, wherever that leads.
    var form: [UInt8]?
    /// Where the answer goes: when nobody reads there any more, nobody wants it.
    var reader: LocalStream?

    init(_ location: HTTPLocation, headers: [(name: String, value: String)] = []) {
        self.location = location
        self.headers = headers
    }
}

/// What a server answers, but for the body.
struct HTTPResponse: Sendable {
    let location: HTTPLocation
    let status: Int
    /// The names in lower case.
    let headers: [(name: String, value: String)]

    /// The first header of a name.
    ///
    /// - Parameter name: The name in lower case.
    /// - Returns: Its value; nil when there is none.
    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }

    /// All headers of a name.
    ///
    /// - Parameter name: The name in lower case.
    /// - Returns: Their values.
    func headers(_ name: String) -> [String] { headers.filter { $0.name == name }.map(\.value) }

    /// How many bytes the body has, if the server says so.
    var contentLength: Int64? { header("content-length").flatMap { Int64($0) }.flatMap { $0 >= 0 ? $0 : nil } }

    var isSuccess: Bool { (200..<300).contains(status) }
}

/// Reads the head of a response from its lines.
struct HTTPHeadReader {
    private(set) var status = 0
    private(set) var headers: [(name: String, value: String)] = []
    private var bytes = 0
    /// Whether the head of the last response has come to its end: trailers of a body look like headers.
    private(set) var isWhole = false

    /// The most bytes of all headers.
    private static let sizeLimit = 256 << 10

    /// Takes a line.
    ///
    /// - Parameter line: The line with its end.
    /// - Returns: Whether it could be read.
    mutating func take(_ line: String) -> Bool {
        bytes += line.utf8.count
        guard bytes <= Self.sizeLimit else { return false }
        let line = line.trimming { $0 == "\r\n" || $0 == "\n" || $0 == "\r" }
        if line.hasPrefix("HTTP/") {
            // Another one came before: of a proxy, or one that says to go on.
            let words = line.split(separator: " ", maxSplits: 2)
            guard words.count >= 2, let number = Int(words[1]), (100..<1000).contains(number) else { return false }
            status = number
            headers = []
            return true
        }
        if line.isEmpty {
            isWhole = status >= 200
            return true
        }
        guard let colon = line.firstIndex(of: ":") else { return false }
        let value = line[line.index(after: colon)...].trimming { $0 == " " || $0 == "\t" }
        headers.append((line[..<colon].lowercased(), String(value)))
        return true
    }
}

extension StringProtocol {
    /// The text without what some characters are at both ends.
    ///
    /// - Parameter isRemoved: Whether a character goes.
    /// - Returns: The rest.
    func trimming(_ isRemoved: (Character) -> Bool) -> SubSequence {
        guard let first = firstIndex(where: { !isRemoved($0) }), let last = lastIndex(where: { !isRemoved($0) }) else {
            return self[startIndex..<startIndex]
        }
        return self[first...last]
    }
}
