internal import FoundationEssentials

/// What a user shows to a server to be let in.
public enum Credential: Sendable, Hashable {
    /// A name and a password.
    case password(user: String, password: String)
    /// A token that a token server takes for a password (OAuth 2's refresh token), and nobody else may see.
    case identityToken(String)
    /// A token that the registry itself takes.
    case registryToken(String)
}

/// Where credentials come from.
public protocol CredentialSource: Sendable {
    /// The credentials for a server.
    ///
    /// - Parameters:
    ///   - host: The server, with its port where that is not the scheme's own.
    ///   - repository: What is wanted there, in a registry; some have credentials for a part of it alone.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: `RktError` naming the file that cannot be read.
    func credential(for host: String, repository: String?) throws -> Credential?
}

/// Nobody's.
public struct NoCredentials: CredentialSource {
    /// Makes the source.
    public init() {}

    /// There are none.
    ///
    /// - Parameters:
    ///   - host: Not asked.
    ///   - repository: Not asked.
    /// - Returns: Nil.
    public func credential(for host: String, repository: String?) -> Credential? { nil }
}

extension Credential {
    /// The value of an `Authorization` header for who asks for a name and a password; nil when this has none.
    var authorization: String? {
        switch self {
        case .password(let user, let password): "Basic \(Data("\(user):\(password)".utf8).base64EncodedString())"
        case .identityToken, .registryToken: nil
        }
    }
}
