internal import Diagnostics
internal import ImageFetch
internal import Manifests

extension FuzzTarget {
    /// Names of images: what was read and printed reads as the same again.
    static let reference = FuzzTarget("reference", shortRun: 20_000) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? ImageReference(text, acceptsID: false) { $0.utf8.count % 3 == 0 }
        switch try ImageReference(text, exists: { _ in false }) {
        case .docker(let reference):
            let again = try mustSucceed("\(reference) is not read again") { try DockerReference(reference.description) }
            try require(again == reference, "\(reference) reads as \(again)")
            let parts = reference.repository.split(separator: "/", omittingEmptySubsequences: false)
            try require(parts.allSatisfy { !["", ".", ".."].contains($0) }, "\(reference) leads elsewhere")
            try require(isPlain(reference.description), "\(reference) would need escapes in a URL")
        case .appc(let name):
            let again = try mustSucceed("\(name) is not read again") { try AppcImageName(name.description) }
            try require(again == name, "\(name) reads as \(again)")
        case .id(let prefix):
            let again = try mustSucceed("\(prefix) is not read again") { try ImageIDPrefix(prefix.description) }
            try require(again == prefix, "\(prefix) reads as \(again)")
        case .file(let path, _):
            try require(!path.isEmpty && !path.utf8.contains(0), "a path that no system call takes")
        case .url(let url):
            try require(url.contains("://"), "\(url) is no URL")
        }
    }

    private static func isPlain(_ text: String) -> Bool {
        text.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "-._~:/@[]".utf8.contains(byte)
        }
    }

    /// What a server asks for: printed in the standard's form, it reads as the same again.
    static let challenge = FuzzTarget("challenge", shortRun: 20_000) { bytes in
        let challenges = AuthenticationChallenge.parse(String(decoding: bytes, as: UTF8.self))
        let most = AuthenticationChallenge.limit
        try require(challenges.count <= most, "\(challenges.count) challenges")
        for challenge in challenges {
            try require(!challenge.scheme.isEmpty, "a challenge without a scheme")
            try require(challenge.scheme == challenge.scheme.lowercased(), "\(challenge.scheme) is not lower case")
            try require(challenge.parameters.count <= most, "\(challenge.parameters.count) parameters")
        }
        let printed = challenges.map(printed).joined(separator: ", ")
        try require(AuthenticationChallenge.parse(printed) == challenges, "\(printed) reads as something else")
    }

    private static func printed(_ challenge: AuthenticationChallenge) -> String {
        let parameters = challenge.parameters.sorted { $0.key < $1.key }.map { name, value in
            let escaped = value.reduce(into: "") { text, character in
                if character == "\"" || character == "\\" { text.append("\\") }
                text.append(character)
            }
            return "\(name)=\"\(escaped)\""
        }
        return "\(challenge.scheme) \(parameters.joined(separator: ","))"
    }
}
