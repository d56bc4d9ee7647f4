import Diagnostics
import ImageFixtures
import Manifests
import Synchronization
import Testing

@testable import ImageFetch

/// Registries on a bad day.
@Suite struct RegistryDownloadTests {
    let user: RegistryUser

    init() throws {
        user = try RegistryUser()
    }

    typealias Answer = TestServer.Answer

    @Test func aBrokenDownloadGoesOn() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if let range = request.headers["range"], let start = Int(range.dropFirst(6).dropLast()) {
                answer.begin(at: start)
            }
            answer.sent = min(100_000, answer.body.count)
            return answer
        }
        _ = try user.fetch("\(server.host)/app:1")
        let ranges = server.requests.filter { $0.path == layer }.map { $0.headers["range"] ?? "" }
        let size = image.layers[0].blob.count
        #expect(ranges == [""] + stride(from: 100_000, to: size, by: 100_000).map { "bytes=\($0)-" })
    }

    /// However small the first piece is, it is seen how the layer is compressed.
    @Test(arguments: [1, 2, 5, 7, 9])
    func aDownloadMayBeginSlowly(first: Int) throws {
        var image = FakeRegistry.large()
        image.layers[0].blob = try user.scratch.compressed(image.layers[0].tar, with: "gzip")
        image.layers[0].mediaType = OCI.MediaType.layer + "+gzip"
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if request.headers["range"] == "bytes=\(first)-" {
                answer.begin(at: first)
            } else {
                answer.sent = first
            }
            return answer
        }
        _ = try user.fetch("\(server.host)/app:1")
    }

    @Test func aTokenMayEndOnTheWay() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let tokens = Mutex(0)
        let server = try TestServer { request, _ in
            if request.path.hasPrefix("/token?") {
                let number = tokens.withLock { count in
                    count += 1
                    return count
                }
                return Answer(body: Array(#"{"token":"t\#(number)"}"#.utf8))
            }
            let number = tokens.withLock { $0 }
            let isGood = request.headers["authorization"] == "Bearer t\(number)"
            let isResumed = request.headers["range"] != nil
            guard isGood, !isResumed || number > 1 else { return FakeRegistry.wantsToken(request) }
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if isResumed {
                answer.begin(at: 100_000)
            } else {
                answer.sent = 100_000
            }
            return answer
        }
        _ = try user.fetch("\(server.host)/app:1")
        #expect(tokens.withLock { $0 } == 2)
    }

    @Test func anotherPartThanAskedForIsRefused() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            if request.headers["range"] != nil {
                answer.status = 206
                answer.headers = [("Content-Range", "bytes 0-9/\(answer.body.count)")]
            }
            answer.sent = 100_000
            return answer
        }
        #expect(user.error("\(server.host)/app:1")?.code == .invalidData)
    }

    /// Where only the end of the connection says that this is all.
    @Test func whatEndsEarlyWithoutALengthGoesOn() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let tries = Mutex(0)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            guard request.path == layer else { return answer }
            answer.hasLength = false
            let number = tries.withLock { count in
                count += 1
                return count
            }
            if number == 1 { answer.sent = 70_000 }
            return answer
        }
        _ = try user.fetch("\(server.host)/app:1")
        #expect(tries.withLock { $0 } == 2)
    }

    @Test(arguments: [200, 302, 401, 404])
    func whatNeverEndsIsCutOff(status: Int) throws {
        let server = try TestServer { _, _ in
            Answer(
                status: status,
                headers: [("Location", "/elsewhere")],
                body: [UInt8](repeating: 0x20, count: 1 << 20),
                isEndless: true
            )
        }
        #expect(user.error("\(server.host)/app:1") != nil)
    }

    @Test func aServerThatCannotBeginInTheMiddleIsReadAgain() throws {
        let image = FakeRegistry.large()
        let registry = FakeRegistry.answers(image)
        let layer = FakeRegistry.layerPath(image)
        let tries = Mutex(0)
        let server = try TestServer { request, _ in
            var answer = registry(request)
            if request.path == layer,
                tries.withLock({
                    $0 += 1; return $0
                }) < 3
            {
                answer.sent = 150_000
            }
            return answer
        }
        _ = try user.fetch("\(server.host)/app:1")
    }

    @Test func busyServersAreAskedAgain() throws {
        let registry = FakeRegistry.answers(.small)
        let server = try TestServer { request, number in
            number % 3 != 0
                ? Answer(status: number % 2 == 0 ? 429 : 503, headers: [("Retry-After", "0")]) : registry(request)
        }
        _ = try user.fetch("\(server.host)/app:1")
    }

    @Test func aServerThatStaysBusyIsGivenUp() throws {
        let server = try TestServer { _, _ in Answer(status: 503) }
        #expect(user.error("\(server.host)/app:1")?.code == .unavailable)
        #expect(server.requests.count < 10)
    }
}
