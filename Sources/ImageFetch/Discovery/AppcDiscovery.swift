internal import Diagnostics
public import Manifests

/// What was found out about where an image and its keys are.
public struct DiscoveryReport: Sendable {
    /// Where the image is.
    public struct Archive: Sendable, Hashable {
        /// The URL of the ACI.
        public let archive: String
        /// The URL of its detached signature.
        public let signature: String
        /// The page that says so; nil where no page does, and it is where the name says (simple discovery).
        public let page: String?
    }

    /// Where a key is.
    public struct Key: Sendable, Hashable {
        /// The URL of the key.
        public let location: String
        /// The page that says so.
        public let page: String
    }

    /// What was asked, and why that was of no use.
    public struct Attempt: Sendable, Hashable {
        /// The page.
        public let page: String
        /// What is wrong with it.
        public let problem: String
    }

    /// The places of the image, the first of which counts.
    public var archives: [Archive] = []
    /// The places of keys.
    public var keys: [Key] = []
    /// What was asked in vain, in order.
    public var attempts: [Attempt] = []
}

/// Finds out where images and their keys are, by their names (appc specification, discovery): the name's own page is
/// asked, then those of its parents up to the host.
public struct AppcDiscovery: Sendable {
    private let session: HTTPSession
    private let credentials: any DomainCredentialSource
    /// The URL of the page of a name.
    private let page: @Sendable (_ scheme: String, _ name: String) -> String

    /// Makes a discovery.
    ///
    /// - Parameters:
    ///   - settings: What the user allows and has configured for all requests.
    ///   - credentials: What to show to servers.
    /// - Throws: `RktError` with `missingDependency` when libcurl is not there.
    public init(settings: HTTPSettings, credentials: any DomainCredentialSource = NoCredentials()) throws {
        self.init(session: HTTPSession(client: try HTTPClient(settings)), credentials: credentials)
    }

    init(
        session: HTTPSession,
        credentials: any DomainCredentialSource,
        page: @escaping @Sendable (_ scheme: String, _ name: String) -> String = { "\($0)://\($1)" }
    ) {
        var session = session
        // Many a name is a mistake, and its host is not there: nobody wants to wait long for that.
        session.patience = { _ in 100 }
        self.session = session
        self.credentials = credentials
        self.page = page
    }

    private var allowsHTTP: Bool { session.client.settings.allowsHTTP }

    // MARK: Questions

    /// Where an image is.
    ///
    /// - Parameter name: The image, with all labels that it must have.
    /// - Returns: At least one place, and the way there.
    /// - Throws: `RktError` with `notFound` naming all that was asked, or why its host could not be asked.
    public func archives(of name: AppcImageName) throws -> DiscoveryReport {
        var report = DiscoveryReport()
        var trouble: RktError?
        walk(name.name, &report, &trouble, what: "ac-discovery") { page, tags, report in
            report.archives = Self.archives(of: name, page, tags, allowsHTTP)
            return !report.archives.isEmpty
        }
        if report.archives.isEmpty, trouble == nil { askSimply(name, &report) }
        guard report.archives.isEmpty else { return report }
        throw failure(name.description, "no endpoints discovered", report, trouble)
    }

    /// Where the keys for a name are.
    ///
    /// - Parameter name: An image's name, or the beginning of some images' names.
    /// - Returns: At least one place, and the way there.
    /// - Throws: `RktError` with `notFound` naming all that was asked, or why its host could not be asked.
    public func keys(for name: ACIdentifier) throws -> DiscoveryReport {
        var report = DiscoveryReport()
        var trouble: RktError?
        walk(name, &report, &trouble, what: "ac-discovery-pubkeys") { page, tags, report in
            report.keys = Self.keys(for: name, page, tags, allowsHTTP)
            return !report.keys.isEmpty
        }
        guard report.keys.isEmpty else { return report }
        throw failure(name.description, "no keys discovered", report, trouble)
    }

    /// All that can be found out about a name.
    ///
    /// - Parameter name: The image, with all labels that it must have.
    /// - Returns: What was found out, which may be nothing.
    public func report(on name: AppcImageName) -> DiscoveryReport {
        var report = DiscoveryReport()
        var trouble: RktError?
        walk(name.name, &report, &trouble, what: "ac-discovery and ac-discovery-pubkeys") { page, tags, report in
            let archives = Self.archives(of: name, page, tags, allowsHTTP)
            let keys = Self.keys(for: name.name, page, tags, allowsHTTP)
            if report.archives.isEmpty { report.archives = archives }
            if report.keys.isEmpty { report.keys = keys }
            if !report.archives.isEmpty, !report.keys.isEmpty { return true }
            if !archives.isEmpty || !keys.isEmpty {
                let missing = archives.isEmpty ? "ac-discovery" : "ac-discovery-pubkeys"
                report.attempts.append(.init(page: page, problem: "no meta tag '\(missing)' for \(name.name)"))
            }
            return false
        }
        if report.archives.isEmpty, trouble == nil { askSimply(name, &report) }
        return report
    }

    private func failure(
        _ name: String,
        _ what: String,
        _ report: DiscoveryReport,
        _ trouble: RktError?
    ) -> RktError {
        let tried = report.attempts.map { "\($0.page): \($0.problem)" }.joined(separator: "; ")
        return RktError(
            trouble?.code ?? .notFound,
            "discovery failed for \"\(name)\": \(what)\(tried.isEmpty ? "" : " (\(tried))")"
        )
    }

    private static func archives(
        of name: AppcImageName,
        _ page: String,
        _ tags: DiscoveryTags,
        _ allowsHTTP: Bool
    ) -> [DiscoveryReport.Archive] {
        tags.endpoints(for: name, allowsHTTP: allowsHTTP).map {
            DiscoveryReport.Archive(archive: $0.archive, signature: $0.signature, page: page)
        }
    }

    private static func keys(
        for name: ACIdentifier,
        _ page: String,
        _ tags: DiscoveryTags,
        _ allowsHTTP: Bool
    ) -> [DiscoveryReport.Key] {
        tags.keyLocations(for: name, allowsHTTP: allowsHTTP).map { DiscoveryReport.Key(location: $0, page: page) }
    }

    // MARK: Pages

    private typealias Visit = (_ page: String, _ tags: DiscoveryTags, _ report: inout DiscoveryReport) -> Bool

    /// Visits the pages of a name and its parents until one is enough; a host that does not answer ends it.
    private func walk(
        _ name: ACIdentifier,
        _ report: inout DiscoveryReport,
        _ trouble: inout RktError?,
        what: String,
        _ visit: Visit
    ) {
        let parts = name.description.split(separator: "/")
        for count in (1...parts.count).reversed() {
            let prefix = parts[..<count].joined(separator: "/")
            for scheme in allowsHTTP ? ["https", "http"] : ["https"] {
                let address = "\(page(scheme, prefix))?ac-discovery=1"
                do {
                    let tags = try tags(of: address)
                    trouble = nil
                    let known = report.attempts.count
                    if visit(address, tags, &report) { return }
                    if report.attempts.count == known {
                        report.attempts.append(.init(page: address, problem: "no meta tag '\(what)' for \(name)"))
                    }
                    // What the page says over https counts.
                    break
                } catch let error as RktError {
                    report.attempts.append(.init(page: address, problem: "\(error)"))
                    if error.code != .notFound, error.code != .limitExceeded { trouble = error }
                } catch {
                    report.attempts.append(.init(page: address, problem: "\(error)"))
                }
            }
            if trouble != nil { return }
        }
    }

    private func tags(of address: String) throws -> DiscoveryTags {
        let location = try HTTPLocation(address)
        let answer = try session.document(
            HTTPRequest(location),
            try credentials.authorization(for: location),
            limit: HTMLMetaTag.pageLimit,
            name: "the page"
        )
        guard answer.response.status == 200 else {
            throw RktError(.notFound, "status \(answer.response.status)")
        }
        return DiscoveryTags(page: answer.body)
    }

    /// Asks where the image would be by its name alone, if nobody says otherwise.
    private func askSimply(_ name: AppcImageName, _ report: inout DiscoveryReport) {
        // A host alone has no such place.
        guard name.name.description.contains("/"),
            let archive = DiscoveryTemplate.filled(DiscoveryTemplate.simple, name, ext: "aci"),
            let signature = DiscoveryTemplate.filled(DiscoveryTemplate.simple, name, ext: "aci.asc")
        else { return }
        for scheme in allowsHTTP ? ["https", "http"] : ["https"] {
            func address(_ url: String) -> String { page(scheme, String(url.dropFirst("https://".count))) }
            do {
                let location = try HTTPLocation(address(archive))
                var isThere = false
                var position = HTTPSession.StreamPosition()
                let found = Result {
                    try session.stream(
                        HTTPRequest(location),
                        try credentials.authorization(for: location),
                        from: &position,
                        size: nil,
                        name: "the image"
                    ) { _ in
                        isThere = true
                        throw Enough()
                    }
                }
                if case .failure(let error) = found, !(error is Enough) { throw error }
                guard isThere else {
                    let status = try? found.get().response.status
                    throw RktError(.notFound, "status \(status ?? 0)")
                }
                report.archives = [.init(archive: address(archive), signature: address(signature), page: nil)]
                return
            } catch {
                report.attempts.append(.init(page: address(archive), problem: "\(error)"))
            }
        }
    }

    private struct Enough: Error {}
}
