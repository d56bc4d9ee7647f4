import Diagnostics
import Glibc
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

@Suite struct HTTPDetailTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    // MARK: Dates

    /// 2026-11-29 00:00:00.
    private static let now: Int64 = 1_795_910_400

    @Test(arguments: [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777), ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777),
        ("Sun Nov  6 08:49:37 1994", 784_111_777), ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 29 Feb 2024 23:59:60 GMT", 1_709_251_200), ("Sun, 29 Nov 2026 00:00:00 GMT", 1_795_910_400),
        ("Wednesday, 31-Dec-76 00:00:00 GMT", 3_376_598_400), ("Friday, 31-Dec-77 00:00:00 GMT", 252_374_400),
        ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
    ])
    func dates(text: String, seconds: Int64) {
        #expect(HTTPDate.seconds(text, now: Self.now) == seconds)
    }

    @Test(arguments: [
        "", "120", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT", "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun Nov  6 08:49 1994", "Sun, 06 Nov 99999999999999 08:49:37 GMT",
    ])
    func whatIsNoDate(text: String) {
        #expect(HTTPDate.seconds(text, now: Self.now) == nil)
    }

    @Test(
        arguments: [
            ("30", nil, 30), ("99999999999999999999", nil, .max), ("-1", nil, nil), ("soon", nil, nil), (nil, nil, nil),
            ("Sun, 29 Nov 2026 00:00:10 GMT", nil, 10), ("Sat, 28 Nov 2026 23:59:50 GMT", nil, 0),
            // By the server's clock it is in five seconds.
            ("Sun, 29 Nov 2026 01:00:05 GMT", "Sun, 29 Nov 2026 01:00:00 GMT", 5),
        ] as [(String?, String?, Int64?)]
    )
    func howLongToWait(wish: String?, date: String?, seconds: Int64?) throws {
        let response = HTTPResponse(
            location: try HTTPLocation("http://localhost/"),
            status: 503,
            headers: [("retry-after", wish), ("date", date)].compactMap { name, value in value.map { (name, $0) } }
        )
        #expect(RetryAfter.seconds(response, now: Self.now) == seconds)
    }

    @Test func aDateThatHasPassedIsNotWaitedFor() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, number in
            number == 1
                ? TestServer.Answer(status: 503, headers: [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT")])
                : registry(request)
        }
        let client = RegistryClient(
            try DockerReference("\(server.host)/app:1"),
            session: try FakeRegistry.session(),
            credentials: NoCredentials()
        )
        _ = try client.manifest("1", limit: 1 << 20, name: "x")
        #expect(server.requests.count == 2)
    }

    // MARK: Who is on this machine

    @Test(arguments: [
        ("http://localhost:5000/", true), ("https://LOCALHOST/", true), ("http://127.0.0.1/", true),
        ("http://127.9.8.7:80/", true), ("http://[::1]:5000/", true), ("http://127.0.0.1.example.com/", false),
        ("http://127.example.com/", false), ("http://128.0.0.1/", false), ("http://localhost.example.com/", false),
        ("http://[::2]/", false),
    ])
    func loopback(url: String, isLoopback: Bool) throws {
        #expect(try HTTPLocation(url).origin.isLoopback == isLoopback)
    }

    // MARK: Certificates

    private static let certificate = "-----BEGIN CERTIFICATE-----\nMAo=\n-----END CERTIFICATE-----"

    private func files(_ host: String) throws -> HostFiles {
        let certificates = HostCertificates(directories: ["\(scratch.path)/none", "\(scratch.path)/certs"])
        return try certificates.files(for: try HTTPLocation("https://\(host)/").origin)
    }

    @Test func allAuthoritiesOfAHostCount() throws {
        try scratch.shell("mkdir -p '\(scratch.path)/certs/one.com:5000' \(scratch.path)/certs/one.com")
        for name in ["a.crt", "b.crt"] {
            let path = try scratch.file(name, Array("\(name)\n\(Self.certificate)".utf8))
            try scratch.shell("mv \(path) '\(scratch.path)/certs/one.com:5000/'")
        }
        try scratch.shell("touch \(scratch.path)/certs/one.com/me.cert \(scratch.path)/certs/one.com/me.key")
        let found = try files("one.com:5000")
        #expect(
            found.authorities == Array("a.crt\n\(Self.certificate)\nb.crt\n\(Self.certificate)".utf8)
        )
        #expect(found.certificate == nil)
        let other = try files("one.com")
        #expect(other.authorities == nil)
        #expect(other.key == "\(scratch.path)/certs/one.com/me.key")
        #expect(try files("two.com") == HostFiles())
    }

    @Test func anAuthorityThatIsNoneIsNamed() throws {
        try scratch.shell("mkdir -p \(scratch.path)/certs/one.com; echo x >\(scratch.path)/certs/one.com/bad.crt")
        let error = #expect(throws: RktError.self) { try files("one.com") }
        #expect("\(try #require(error))".contains("one.com/bad.crt"))
    }

    // MARK: Downloads that nobody reads

    private func download(
        _ server: TestServer,
        _ session: HTTPSession,
        in group: DownloadGroup,
        ended: @escaping @Sendable () -> Void
    ) throws -> BlobSource {
        let location = try HTTPLocation("http://\(server.host)/blob")
        return try BlobDownload.start(name: "x", in: group) { stream, sink in
            defer { ended() }
            var request = HTTPRequest(location)
            request.reader = stream
            var position = HTTPSession.StreamPosition()
            _ = try session.stream(request, from: &position, size: 1 << 20, name: "x", sink)
        }
    }

    /// A server that has stopped to send, and one that wants to be left alone for long.
    @Test(.timeLimit(.minutes(10)), arguments: [true, false], [true, false])
    func endAtOnce(isStalled: Bool, isEndedByGroup: Bool) throws {
        let (asked, ended) = (try Pipe(), try Pipe())
        let (askedWriter, endedWriter) = (SharedFD(asked.takeWriter()), SharedFD(ended.takeWriter()))
        let server = try TestServer { _, _ in
            try? askedWriter.descriptor.writeAll([1], name: "word")
            return isStalled
                ? TestServer.Answer(body: [UInt8](repeating: 1, count: 2000), sent: 1000, isStalled: true)
                : TestServer.Answer(status: 503, headers: [("Retry-After", "100")])
        }
        let group = DownloadGroup()
        let start = ContinuousClock.now
        func begin() throws {
            let source = try download(server, try FakeRegistry.session(), in: group) {
                try? endedWriter.descriptor.writeAll([1], name: "word")
            }
            try withExtendedLifetime(source) {
                _ = try asked.reader.readSome()
                if isEndedByGroup { group.end() }
            }
        }
        try begin()
        _ = try ended.reader.readSome()
        group.end()
        #expect(ContinuousClock.now - start < .seconds(20))
    }
}

extension OwnedFD {
    /// Waits for a byte.
    fileprivate borrowing func readSome() throws -> UInt8 {
        let descriptor = rawValue
        var byte: UInt8 = 0
        try system("reading") { read(descriptor, &byte, 1) }
        return byte
    }
}
