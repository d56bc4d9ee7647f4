import Diagnostics
import FoundationEssentials
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// ACIs from web servers.
@Suite struct ArchiveFetcherTests {
    typealias Answer = TestServer.Answer

    private let site: WebSite
    private let scratch: Scratch
    private let store: ImageStore

    init() throws {
        site = try WebSite()
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private static let aci = ImageFixture.aci([.file("rootfs/bin/sh", "#!")])

    private func fetch(_ path: String, insecure: Bool = true) throws -> ImageRecord {
        try site.fetcher(store).fetch(
            url: "http://\(site.server.host)\(path)",
            options: FetchOptions(insecureImage: insecure)
        )
    }

    private func fetch(name: String, insecure: Bool = true) throws -> ImageRecord {
        try site.fetcher(store).fetch(try AppcImageName(name), options: FetchOptions(insecureImage: insecure))
    }

    private func failure(_ body: () throws -> ImageRecord) throws -> RktError {
        let error = #expect(throws: RktError.self) { try body() }
        #expect(try store.list() == [])
        return try #require(error)
    }

    // MARK: URLs

    @Test func anImageIsFetchedByItsURL() throws {
        site.put("/a/x.aci", Self.aci)
        let record = try fetch("/a/x.aci")
        #expect(record.kind == .appc)
        #expect(record.names == ["example.com/app:1.0.0"])
        let reference = "http://\(site.server.host)/a/x.aci"
        #expect(record.sources?.map(\.reference) == [reference])
        #expect(try store.image(fetchedFrom: reference, verified: false)?.id == record.id)
        #expect(try store.image(fetchedFrom: reference, verified: true) == nil)
        #expect(site.server.requests[0].headers["user-agent"] == "rkt/test")
        // Nothing else stays.
        #expect(try Directory(path: "\(scratch.path)/store/tmp").names() == [])
    }

    @Test func whatIsFreshIsNotAskedFor() throws {
        site.put("/x.aci", Self.aci, headers: [("Cache-Control", "public, max-age=60")])
        let first = try fetch("/x.aci")
        #expect(try fetch("/x.aci").id == first.id)
        #expect(site.paths.count == 1)
    }

    @Test func whatIsUnchangedDoesNotComeAgain() throws {
        site.put("/x.aci") { request in
            request.headers["if-none-match"] == "\"one\""
                ? Answer(status: 304, headers: [("Cache-Control", "max-age=60")])
                : Answer(headers: [("ETag", "\"one\"")], body: Self.aci)
        }
        let first = try fetch("/x.aci")
        #expect(try fetch("/x.aci").id == first.id)
        #expect(site.server.requests.map { $0.headers["if-none-match"] } == [nil, "\"one\""])
        // The second answer said for how long.
        #expect(try fetch("/x.aci").id == first.id)
        #expect(site.paths.count == 2)
    }

    @Test func whatHasChangedComesAndTheURLLeadsThere() throws {
        site.put("/x.aci", Self.aci, headers: [("ETag", "\"one\"")])
        let first = try fetch("/x.aci")
        site.put("/x.aci", ImageFixture.aci(version: "2", [.file("rootfs/a", "b")]), headers: [("ETag", "\"two\"")])
        let second = try fetch("/x.aci")
        #expect(second.id != first.id)
        #expect(try store.image(fetchedFrom: "http://\(site.server.host)/x.aci", verified: false)?.id == second.id)
    }

    @Test func aBrokenDownloadGoesOn() throws {
        let half = Self.aci.count / 2
        let isFirst = Mutex(true)
        site.put("/x.aci") { request in
            if isFirst.withLock({ first in
                defer { first = false }; return first
            }) {
                return Answer(headers: [("ETag", "\"one\"")], body: Self.aci, sent: half)
            }
            #expect(request.headers["range"] == "bytes=\(half)-")
            let range = ("Content-Range", "bytes \(half)-\(Self.aci.count - 1)/\(Self.aci.count)")
            return Answer(status: 206, headers: [range, ("ETag", "\"one\"")], body: Array(Self.aci[half...]))
        }
        #expect(try fetch("/x.aci").names == ["example.com/app:1.0.0"])
    }

    @Test func twoHalvesOfTwoVersionsAreNone() throws {
        let half = Self.aci.count / 2
        let isFirst = Mutex(true)
        site.put("/x.aci") { _ in
            if isFirst.withLock({ first in
                defer { first = false }; return first
            }) {
                return Answer(headers: [("ETag", "\"one\"")], body: Self.aci, sent: half)
            }
            let range = ("Content-Range", "bytes \(half)-\(Self.aci.count - 1)/\(Self.aci.count)")
            return Answer(status: 206, headers: [range, ("ETag", "\"two\"")], body: Array(Self.aci[half...]))
        }
        #expect("\(try failure { try fetch("/x.aci") })".contains("changed while it was fetched"))
    }

    @Test(arguments: [202, 204, 304, 404, 403])
    func otherAnswersAreNoImages(status: Int) throws {
        site.put("/x.aci") { _ in Answer(status: status) }
        #expect("\(try failure { try fetch("/x.aci") })".contains("bad HTTP status code: \(status)"))
    }

    @Test(.timeLimit(.minutes(10))) func whatIsNoACIIsRefused() throws {
        site.put("/x.aci", Array("<html>".utf8))
        _ = try failure { try fetch("/x.aci") }
        site.put("/y.aci", ImageFixture.small.layoutTar)
        _ = try failure { try fetch("/y.aci") }
        site.put("/z.aci", Array(Self.aci.dropLast(1024)))
        _ = try failure { try fetch("/z.aci") }
    }

    @Test(.timeLimit(.minutes(10))) func anEndlessImageEnds() throws {
        var limits = ImageLimits()
        limits.blobBytes = 1 << 20
        let store = try ImageStore(root: "\(scratch.path)/small", create: true, limits: limits)
        let block = Self.aci.prefix(512) + Array(repeating: 0, count: 4096)
        site.put("/x.aci") { _ in Answer(body: Array(block), isEndless: true) }
        let error = #expect(throws: RktError.self) {
            try site.fetcher(store).fetch(
                url: "http://\(site.server.host)/x.aci",
                options: FetchOptions(insecureImage: true)
            )
        }
        #expect(error?.code == .limitExceeded)
        #expect(try store.list() == [])
    }

    // MARK: Names

    @Test func anImageIsFetchedByItsName() throws {
        site.putPage("example.com/app", "example.com")
        site.put("/images/example.com/app-1.0.0.aci", Self.aci)
        #expect(try fetch(name: "example.com/app:1.0.0,os=linux").names == ["example.com/app:1.0.0"])
    }

    /// A page that names several places: one where nobody answers, one that has nothing, and more.
    private func putPlaces(_ last: String = "/second") {
        let places = ["http://127.0.0.1:1", "http://\(site.server.host)/first", "http://\(site.server.host)\(last)"]
        let tags = places.map { #"<meta name="ac-discovery" content="example.com \#($0)/{name}-{version}.{ext}">"# }
        site.put("/example.com/app?ac-discovery=1", Array(tags.joined().utf8))
    }

    @Test func whereOnePlaceHasNothingToSendTheNextIsTried() throws {
        putPlaces()
        site.put("/second/example.com/app-1.0.0.aci", Self.aci)
        let told = Mutex<[String]>([])
        let fetcher = site.fetcher(store, notice: { line in told.withLock { $0.append(line) } })
        let options = FetchOptions(insecureImage: true)
        let record = try fetcher.fetch(try AppcImageName("example.com/app:1.0.0"), options: options)
        #expect(record.sources?.map(\.reference) == ["http://\(site.server.host)/second/example.com/app-1.0.0.aci"])
        #expect(told.withLock(\.count) == 2)
        #expect(told.withLock { $0.first?.hasPrefix("http://127.0.0.1:1/example.com/app-1.0.0.aci: ") } == true)
        // Nothing else stays.
        #expect(try Directory(path: "\(scratch.path)/store/tmp").names() == [])
    }

    @Test func whenNoPlaceHasItTheLastOneSaysWhy() throws {
        putPlaces()
        let error = try failure { try fetch(name: "example.com/app:1.0.0") }
        #expect(error.code == .notFound)
        #expect("\(error)".contains("does not have it"))
        // Without a signature there is none, wherever the image is.
        site.put("/second/example.com/app-1.0.0.aci", Self.aci)
        #expect(try failure { try fetch(name: "example.com/app:1.0.0", insecure: false) }.code != .notFound)
    }

    @Test func anImageThatIsWrongIsNotLookedForElsewhere() throws {
        putPlaces()
        site.put("/first/example.com/app-1.0.0.aci", ImageFixture.aci(version: "2", [.file("rootfs/a", "b")]))
        site.put("/second/example.com/app-1.0.0.aci", Self.aci)
        #expect(try failure { try fetch(name: "example.com/app:1.0.0") }.code == .permissionDenied)
        #expect(!site.paths.contains("/second/example.com/app-1.0.0.aci"))
    }

    @Test func withoutAVersionTheLatestComesAndIsThatLater() throws {
        site.putPage("example.com/app", "example.com")
        site.put("/images/example.com/app-latest.aci", Self.aci)
        let latest = try fetch(name: "example.com/app")
        #expect(latest.sources?.first?.isLatest == true)
        site.put("/images/example.com/app-2.aci", ImageFixture.aci(version: "2", [.file("rootfs/a", "b")]))
        #expect(try fetch(name: "example.com/app:2").sources?.first?.isLatest == nil)
        #expect(try store.image(matching: "example.com/app").id == latest.id)
    }

    @Test(
        arguments: [
            ("example.com/app", "example.com/other", "1", "error when reading the app name"),
            ("example.com/app:2", "example.com/app", "1", "requested value for label \"version\""),
            ("example.com/app,channel=x", "example.com/app", "1", "requested label \"channel\" not provided"),
        ]
    )
    func anotherImageIsRefused(asked: String, name: String, version: String, reason: String) throws {
        site.putPage("example.com/app", "example.com")
        let aci = ImageFixture.aci(name: name, version: version, [.file("rootfs/a", "b")])
        for path in ["latest", "2"] { site.put("/images/example.com/app-\(path).aci", aci) }
        #expect("\(try failure { try fetch(name: asked) })".contains(reason))
    }

    @Test func whatIsHereOfAURLMustBeWhatIsAskedForToo() throws {
        site.putPage("example.com/app", "example.com")
        site.put(
            "/images/example.com/app-latest.aci",
            ImageFixture.aci(name: "example.com/other", [.file("rootfs/a", "b")]),
            headers: [
                ("ETag", "\"one\""), ("Cache-Control", "max-age=60"),
            ]
        )
        _ = try fetch("/images/example.com/app-latest.aci")
        let error = #expect(throws: RktError.self) { try fetch(name: "example.com/app") }
        #expect("\(try #require(error))".contains("error when reading the app name"))
    }

    // MARK: Signatures

    @Test func withoutASignatureNothingComes() throws {
        site.put("/x.aci", Self.aci)
        let signatures = AppcSignatures(keys: TrustedKeys(directories: []))
        let error = try failure {
            try site.fetcher(store, signatures: signatures)
                .fetch(url: "http://\(site.server.host)/x.aci?a=b", options: FetchOptions())
        }
        #expect("\(error)".contains("--insecure-options=image"))
        #expect(site.paths == ["/x.aci.asc?a=b"])
    }

    @Test func aSignatureMayComeAfterTheImage() throws {
        site.put("/x.aci", Self.aci)
        site.put("/x.aci.asc") { _ in Answer(status: 202) }
        let notices = Mutex<[String]>([])
        let fetcher = site.fetcher(store, signatures: AppcSignatures(keys: TrustedKeys(directories: []))) { _ in
        } notice: { text in
            notices.withLock { $0.append(text) }
        }
        let error = try failure {
            try fetcher.fetch(url: "http://\(site.server.host)/x.aci", options: FetchOptions())
        }
        #expect("\(error)".contains("does not have it yet"))
        #expect(site.paths == ["/x.aci.asc", "/x.aci", "/x.aci.asc"])
        #expect(notices.withLock { $0 } == ["server requested deferring the signature download"])
    }

    @Test func nonsenseIsNoSignature() throws {
        site.put("/x.aci", Self.aci)
        site.put("/x.aci.asc", Array("good".utf8))
        _ = try failure {
            try site.fetcher(store, signatures: AppcSignatures(keys: TrustedKeys(directories: [])))
                .fetch(url: "http://\(site.server.host)/x.aci", options: FetchOptions())
        }
    }

    @Test func whatNobodyVouchedForIsFetchedAnewForThoseWhoAsk() throws {
        site.put("/x.aci", Self.aci, headers: [("ETag", "\"one\""), ("Cache-Control", "max-age=60")])
        _ = try fetch("/x.aci")
        #expect(throws: RktError.self) {
            try site.fetcher(store, signatures: AppcSignatures(keys: TrustedKeys(directories: [])))
                .fetch(url: "http://\(site.server.host)/x.aci", options: FetchOptions())
        }
        #expect(site.paths == ["/x.aci", "/x.aci.asc"])
    }

    // MARK: Credentials

    private struct Everywhere: DomainCredentialSource {
        func credential(forDomain domain: String) -> DomainCredential? { .bearer("secret") }
    }

    @Test func credentialsAreNotShownOverPlainHTTP() throws {
        site.put("/x.aci", Self.aci)
        _ = try site.fetcher(store, credentials: Everywhere())
            .fetch(url: "http://\(site.server.host)/x.aci", options: FetchOptions(insecureImage: true))
        #expect(site.server.requests.allSatisfy { $0.headers["authorization"] == nil })
    }

    private struct Known: DomainCredentialSource {
        let known: [String: DomainCredential]

        func credential(forDomain domain: String) -> DomainCredential? { known[domain] }
    }

    @Test func credentialsAreForAHostAndItsPort() throws {
        let credentials = Known(known: [
            "a.com": .basic(user: "me", password: "secret"), "a.com:8443": .bearer("token"),
            "s3.amazonaws.com": .aws(accessKeyID: "id", secretAccessKey: "key", region: nil),
        ])
        func headers(_ url: String) throws -> [String: String] {
            let location = try HTTPLocation(url)
            let pairs = try credentials.authorization(for: location)?.headers(location) ?? []
            return Dictionary(pairs.map { ($0.name, $0.value) }) { first, _ in first }
        }
        #expect(try headers("https://a.com/x") == ["Authorization": "Basic bWU6c2VjcmV0"])
        #expect(try headers("https://A.com:443/x") == ["Authorization": "Basic bWU6c2VjcmV0"])
        #expect(try headers("https://a.com:8443/x") == ["Authorization": "Bearer token"])
        #expect(try headers("https://a.com:8444/x") == [:])
        #expect(try headers("http://a.com/x") == [:])
        #expect(try headers("https://b.a.com/x") == [:])
        let signed = try headers("https://s3.amazonaws.com/bucket/x.aci")
        #expect(signed["Authorization"]?.hasPrefix("AWS4-HMAC-SHA256 Credential=id/") == true)
        #expect(signed["x-amz-date"] != nil)
    }

    // MARK: Freshness

    @Test(
        arguments: [
            ([], 0), (["max-age=60"], 60), (["public, Max-Age=60"], 60), (["max-age=\"60\""], 60),
            (["no-cache, max-age=60"], 0),
            (["max-age=60", "no-store"], 0), (["max-age=-1"], 0), (["max-age=x"], 0), (["max-age="], 0),
            (["max-age=99999999999999999999"], 31_536_000), (["s-maxage=60"], 0),
            (["no-cache=\"set-cookie\", max-age=5"], 0),
        ] as [([String], Int64)]
    )
    func cacheControl(values: [String], seconds: Int64) {
        #expect(CacheControl(values).seconds == seconds)
    }
}

/// What ACIs are built on.
@Suite struct ImageDependenciesTests {
    private let scratch: Scratch
    private let store: ImageStore

    init() throws {
        scratch = try Scratch()
        store = try ImageStore(root: "\(scratch.path)/store", create: true)
    }

    private func add(_ name: String, on others: [String] = []) throws -> ImageRecord {
        let list = others.map { "{\"imageName\":\"\($0)\"}" }.joined(separator: ",")
        let aci = ImageFixture.aci(name: name, more: "\"dependencies\":[\(list)],", [.file("rootfs/\(name)", name)])
        let path = try scratch.file("aci-\(UInt64.random(in: 0 ... .max))", aci)
        return try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
    }

    @Test func allAreFetchedTheNearestFirstAndOnce() throws {
        let top = try add("top", on: ["a", "b"])
        let images = ["a": try add("a", on: ["c"]), "b": try add("b", on: ["c"]), "c": try add("c")]
        let asked = Mutex<[String]>([])
        try ImageDependencies(store: store) { name, _ in
            asked.withLock { $0.append("\(name)") }
            return try #require(images["\(name)"])
        }
        .complete(top)
        #expect(asked.withLock { $0 } == ["a", "b", "c"])
    }

    @Test func whatNeedsItselfIsRefused() throws {
        let top = try add("a", on: ["b"])
        let images = ["a": top, "b": try add("b", on: ["c"]), "c": try add("c", on: ["b"])]
        let error = #expect(throws: RktError.self) {
            try ImageDependencies(store: store) { name, _ in try #require(images["\(name)"]) }.complete(top)
        }
        #expect("\(try #require(error))".contains("lead back to"))
    }

    @Test func thereIsAnEndToIt() throws {
        let top = try add("n0", on: ["n1"])
        let store = store
        let this = self
        let error = #expect(throws: RktError.self) {
            try ImageDependencies(store: store) { name, _ in
                let number = Int("\(name)".dropFirst()) ?? 0
                return try this.add("\(name)", on: ["n\(number + 1)"])
            }
            .complete(top)
        }
        #expect(error?.code == .limitExceeded)
    }

    @Test func anotherImageThanWasSaidIsRefused() throws {
        let other = try add("other")
        let more = "\"dependencies\":[{\"imageName\":\"other\",\"size\":7}],"
        let path = try scratch.file("aci", ImageFixture.aci(name: "top", more: more, [.file("rootfs/a", "a")]))
        let top = try FileFetcher(store: store).fetch(path: path, options: FetchOptions(insecureImage: true))
        let error = #expect(throws: RktError.self) {
            try ImageDependencies(store: store) { _, _ in other }.complete(top)
        }
        #expect(error?.code == .digestMismatch)
    }
}
