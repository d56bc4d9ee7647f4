/// What a user shows to a server that has ACIs (configuration of kind `auth`).
public enum DomainCredential: Sendable, Hashable {
    /// A name and a password.
    case basic(user: String, password: String)
    /// A token.
    case bearer(String)
    /// Keys of Amazon's S3, which sign each request; without a region the server's name says which it is.
    case aws(accessKeyID: String, secretAccessKey: String, region: String?)
}

/// Where credentials for servers that have ACIs come from.
public protocol DomainCredentialSource: Sendable {
    /// The credentials for a server.
    ///
    /// - Parameter domain: The server, with its port where that is not the scheme's own.
    /// - Returns: The credentials; nil when there are none.
    /// - Throws: `RktError` naming the file that cannot be read.
    func credential(forDomain domain: String) throws -> DomainCredential?
}

extension NoCredentials: DomainCredentialSource {
    /// There are none.
    ///
    /// - Parameter domain: Not asked.
    /// - Returns: Nil.
    public func credential(forDomain domain: String) -> DomainCredential? { nil }
}

extension DomainCredentialSource {
    /// What to show to the server of a URL: only over https, and only to that one.
    ///
    /// - Parameter location: The URL.
    /// - Returns: What to show; nil when there is nothing.
    /// - Throws: `RktError` naming the file that cannot be read.
    func authorization(for location: HTTPLocation) throws -> HTTPSession.Authorization? {
        let origin = location.origin
        guard origin.isEncrypted else { return nil }
        let full = "\(origin.host):\(origin.port)"
        let names = origin.port == "443" ? [origin.host, full] : [full]
        for name in names {
            guard let credential = try credential(forDomain: name) else { continue }
            return credential.authorization(for: origin)
        }
        return nil
    }
}

extension DomainCredential {
    /// What a server is shown, wherever it is: nil for what no header can hold.
    func authorization(for origin: HTTPLocation.Origin) -> HTTPSession.Authorization? {
        switch self {
        case .basic(let user, let password):
            let pair = Credential.password(user: user, password: password)
            return pair.authorization.map { HTTPSession.Authorization(origin: origin, value: $0) }
        case .bearer(let token): return HTTPSession.Authorization(origin: origin, value: "Bearer \(token)")
        case .aws(let id, let secret, let region):
            let region = region ?? AWSSignature.region(ofHost: origin.host)
            return HTTPSession.Authorization(origin: origin) { location in
                // The time is part of what is signed, and good for some minutes only.
                AWSSignature(
                    location,
                    accessKeyID: id,
                    secretAccessKey: secret,
                    region: region,
                    time: AWSSignature.now()
                )
                .headers
            }
        }
    }
}
