internal import ImageFetch

extension HTTPSettings {
    /// What the user allows for all requests.
    ///
    /// - Parameter insecure: What is not to be enforced.
    init(_ insecure: InsecureOptions) {
        self.init(
            userAgent: "rkt/\(Installation.version)",
            allowsHTTP: insecure.contains(.http),
            ignoresCertificates: insecure.contains(.tls)
        )
    }
}
