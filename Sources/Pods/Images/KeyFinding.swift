internal import Diagnostics
internal import ImageFetch

/// Looks for the keys of images that are fetched by a name, where no key is trusted for that yet.
public struct KeyFinding: Sendable {
    /// Asks a person about a key; nil when there is nobody to ask.
    public typealias Review = @Sendable (_ key: KeyTrust.Candidate, _ prefix: String) throws -> Bool?

    let trustsHTTPS: Bool
    let review: Review
    let notice: @Sendable (_ line: String) -> Void

    /// Says how keys come to be trusted.
    ///
    /// - Parameters:
    ///   - trustsHTTPS: Whether those that come over https are trusted without asking (`--trust-keys-from-https`).
    ///   - review: Asks a person about a key.
    ///   - notice: Hears what the user should know.
    public init(
        trustsHTTPS: Bool,
        review: @escaping Review,
        notice: @escaping @Sendable (_ line: String) -> Void
    ) {
        self.trustsHTTPS = trustsHTTPS
        self.review = review
        self.notice = notice
    }

    /// Looks for keys, unless some are trusted for the name.
    ///
    /// - Parameters:
    ///   - name: The image's name.
    ///   - trust: Whose signatures count.
    ///   - insecure: What is not to be enforced.
    /// - Throws: ``RktError`` when a key is to be trusted and cannot be kept.
    func run(for name: String, _ trust: ImageTrust, _ insecure: InsecureOptions) throws {
        guard try trust.keys.keys(for: name).isEmpty else { return }
        // Anybody on the way could send a key.
        guard !insecure.contains(.tls) || insecure.contains(.pubkey) else { return }
        let keys = try KeyTrust(
            directories: trust.directories,
            insecure: insecure,
            allowsHTTP: insecure.contains(.pubkey)
        )
        let locations: [String]
        do {
            locations = try keys.discover(prefix: name)
        } catch let error as RktError where error.code == .notFound || error.code == .unavailable {
            // The signature will say which key is missing.
            return
        }
        for location in locations { try look(at: location, name, keys, trust, insecure) }
    }

    func look(
        at location: String,
        _ name: String,
        _ keys: KeyTrust,
        _ trust: ImageTrust,
        _ insecure: InsecureOptions
    ) throws {
        let key: KeyTrust.Candidate
        do {
            key = try keys.candidate(location)
        } catch let error as RktError {
            notice("pubkey: key \(location.debugDescription) cannot be used: \(error)")
            return
        }
        // Somebody has said that it must not count; only `rkt trust` itself says otherwise.
        guard try !trust.keys.isMasked(key.fingerprint, for: name) else {
            notice("pubkey: key \(location.debugDescription) is not trusted: it was taken away for \(name)")
            return
        }
        if let problem = key.problem {
            notice("pubkey: key \(location.debugDescription) is not trusted: \(problem)")
            return
        }
        let isSafe =
            location.lowercased().hasPrefix("https://") && !insecure.contains(.tls)
            && !insecure.contains(.pubkey)
        if trustsHTTPS, isSafe {
            let path = try keys.add(key, for: .prefix(name))
            notice("pubkey: Trusting \(location.debugDescription) for prefix \"\(name)\" without fingerprint review.")
            notice("pubkey: Added key for prefix \"\(name)\" at \"\(path)\"")
            return
        }
        switch try review(key, name) {
        case true?:
            let path = try keys.add(key, for: .prefix(name))
            notice("pubkey: Trusting \(location.debugDescription) for prefix \"\(name)\" after fingerprint review.")
            notice("pubkey: Added key for prefix \"\(name)\" at \"\(path)\"")
        case false?: notice("pubkey: Not trusting \(location.debugDescription) for prefix \"\(name)\".")
        case nil:
            notice(
                "pubkey: Not trusting \(location.debugDescription), as nobody can be asked: rkt trust --prefix=\(name) does, or "
                    + "--trust-keys-from-https"
            )
        }
    }
}
