/// One of the ways in which a server asks for credentials (`WWW-Authenticate`, RFC 9110, 11.6.1).
package struct AuthenticationChallenge: Sendable, Equatable {
    /// In lower case: `basic`, `bearer`.
    package let scheme: String
    /// The names in lower case.
    package let parameters: [String: String]

    /// The most challenges and parameters that are looked at.
    package static let limit = 64

    /// Reads the value of a header. What cannot be understood ends the list.
    ///
    /// - Parameter header: The value.
    /// - Returns: The challenges in their order.
    package static func parse(_ header: String) -> [AuthenticationChallenge] {
        var scanner = Scanner(header)
        var challenges: [AuthenticationChallenge] = []
        while challenges.count < limit {
            scanner.skip { $0 == "," || $0.isBlank }
            guard let scheme = scanner.token() else { break }
            var parameters: [String: String] = [:]
            scanner.skip(\.isBlank)
            while parameters.count < limit, let (name, value) = scanner.parameter() {
                // The first one counts, as whatever came later could have been put there.
                if parameters[name.lowercased()] == nil { parameters[name.lowercased()] = value }
                guard scanner.comma() else { break }
            }
            challenges.append(AuthenticationChallenge(scheme: scheme.lowercased(), parameters: parameters))
            guard scanner.isBetween else { break }
        }
        return challenges
    }
}

private struct Scanner {
    private let text: [Character]
    private var place = 0

    init(_ text: String) {
        self.text = Array(text)
    }

    private var next: Character? { place < text.count ? text[place] : nil }

    /// Whether the end or a comma is next.
    var isBetween: Bool { next == nil || next == "," }

    mutating func skip(_ isSkipped: (Character) -> Bool) {
        while let next, isSkipped(next) { place += 1 }
    }

    mutating func token() -> String? {
        let start = place
        skip(\.isTokenCharacter)
        return start < place ? String(text[start..<place]) : nil
    }

    /// `NAME=VALUE`, the value quoted or not; nil, having read nothing, where something else follows.
    mutating func parameter() -> (String, String)? {
        let start = place
        if let name = token() {
            skip(\.isBlank)
            if next == "=" {
                place += 1
                skip(\.isBlank)
                if let value = next == "\"" ? quoted() : token() { return (name, value) }
            }
        }
        place = start
        return nil
    }

    private mutating func quoted() -> String? {
        place += 1
        var value = ""
        while let character = next {
            place += 1
            if character == "\"" { return value }
            if character == "\\" {
                guard let escaped = next else { return nil }
                place += 1
                value.append(escaped)
            } else {
                value.append(character)
            }
        }
        return nil
    }

    /// Goes over a comma to the next parameter, if there is one.
    mutating func comma() -> Bool {
        skip(\.isBlank)
        guard next == "," else { return false }
        let start = place
        skip { $0 == "," || $0.isBlank }
        var ahead = self
        if ahead.parameter() != nil { return true }
        place = start
        return false
    }
}

extension Character {
    fileprivate var isBlank: Bool { self == " " || self == "\t" }

    /// RFC 9110, 5.6.2.
    fileprivate var isTokenCharacter: Bool {
        guard let byte = asciiValue else { return false }
        return (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
            || "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
}
