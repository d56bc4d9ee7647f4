import Crypto
import FoundationEssentials
import Testing

@testable import ImageFetch

/// With the values that Amazon publishes for S3.
@Suite struct AWSSignatureTests {
    private func signature(_ url: String, more: [(name: String, value: String)] = []) throws -> String? {
        let signature = AWSSignature(
            try HTTPLocation(url),
            accessKeyID: "AKIAIOSFODNN7EXAMPLE",
            secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            time: "20130524T000000Z",
            more: more
        )
        return signature.headers.first { $0.name == "Authorization" }?.value
    }

    @Test func anObjectWithARange() throws {
        let value = try signature("https://examplebucket.s3.amazonaws.com/test.txt", more: [("range", "bytes=0-9")])
        #expect(
            value
                == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
                + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )
    }

    @Test(
        arguments: [
            ("?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            ("?prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ]
    )
    func questions(query: String, expected: String) throws {
        let value = try signature("https://examplebucket.s3.amazonaws.com/\(query)")
        #expect(value?.hasSuffix("Signature=\(expected)") == true)
    }

    @Test func whatIsEscapedIsSignedInOneForm() throws {
        let host = "https://examplebucket.s3.amazonaws.com"
        #expect(try signature("\(host)/a%2bb") == signature("\(host)/a+b"))
        #expect(try signature("\(host):443/a") == signature("\(host)/a"))
        #expect(try signature("\(host):444/a") != signature("\(host)/a"))
    }

    @Test(
        arguments: [
            ("bucket.s3.amazonaws.com", "us-east-1"), ("s3.amazonaws.com", "us-east-1"), ("example.com", "us-east-1"),
            ("s3-eu-west-1.amazonaws.com", "eu-west-1"), ("b.s3-eu-west-1.amazonaws.com", "eu-west-1"),
            ("b.s3.eu-central-1.amazonaws.com", "eu-central-1"), ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("b.s3.dualstack.us-west-2.amazonaws.com", "us-west-2"),
        ]
    )
    func regions(host: String, region: String) {
        #expect(AWSSignature.region(ofHost: host) == region)
    }

    @Test func theTimeIsOfNow() {
        let time = AWSSignature.now()
        #expect(time.utf8.count == 16 && time.hasPrefix("20") && time.hasSuffix("Z"))
    }

    // MARK: Servers

    @Test(
        arguments: [
            "/bucket/app-1.0.aci", "/bucket/a%20b+c%2bd/%C3%A9.aci", "/", "/x.aci?versionId=a%2Fb&acl",
            "/moved.aci?a=b",
        ]
    )
    func aServerThatChecksTheSignatureLetsItsOwnerIn(place: String) throws {
        let server = try S3Server(id: "AKIAIOSFODNN7EXAMPLE", secret: "the secret", region: "eu-west-1")
        func status(_ secret: String, _ region: String) throws -> Int {
            let location = try HTTPLocation("http://\(server.host)\(place)")
            let key = DomainCredential.aws(accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: secret, region: region)
            let authorization = key.authorization(for: location.origin)
            let session = try FakeRegistry.session()
            return try session.document(HTTPRequest(location), authorization, limit: 100, name: "x").response.status
        }
        #expect(try status("the secret", "eu-west-1") == 200)
        #expect(try status("another", "eu-west-1") == 403)
        #expect(try status("the secret", "us-east-1") == 403)
    }
}

/// A server that lets in who has a key, as Amazon's S3 does: what is signed it makes anew from what has come.
private struct S3Server {
    private let server: TestServer

    var host: String { server.host }

    init(id: String, secret: String, region: String) throws {
        server = try TestServer { request, _ in
            guard Self.isSigned(request, id, secret, region) else { return TestServer.Answer(status: 403) }
            guard !request.path.hasPrefix("/moved") else {
                return TestServer.Answer(status: 302, headers: [("Location", "/elsewhere.aci?c=d")])
            }
            return TestServer.Answer()
        }
    }

    private static func isSigned(
        _ request: TestServer.Request,
        _ id: String,
        _ secret: String,
        _ region: String
    ) -> Bool {
        guard let time = request.headers["x-amz-date"], let shown = request.headers["authorization"],
            // A moment ago, unless that was yesterday.
            (time.prefix(8) == AWSSignature.now().prefix(8)) || time.hasSuffix("T235959Z")
        else { return false }
        let scope = "\(time.prefix(8))/\(region)/s3/aws4_request"
        let names = ["host", "x-amz-content-sha256", "x-amz-date"]
        let sides = request.path.split(separator: "?", maxSplits: 1).map(String.init)
        let query = (sides.count > 1 ? sides[1] : "").split(separator: "&").map { pair in
            let words = pair.split(separator: "=", maxSplits: 1).map { encoded(decoded($0), except: "") }
            return "\(words[0])=\(words.count > 1 ? words[1] : "")"
        }
        let lines =
            ["GET", encoded(decoded(sides[0][...]), except: "/"), query.sorted().joined(separator: "&")]
            + names.map { "\($0):\(request.headers[$0] ?? "")" } + ["", names.joined(separator: ";")]
            + [request.headers["x-amz-content-sha256"] ?? ""]
        let digest = SHA256.hash(data: Data(lines.joined(separator: "\n").utf8))
        let text = ["AWS4-HMAC-SHA256", time, scope, hex(digest)].joined(separator: "\n")
        let key = scope.split(separator: "/").reduce(SymmetricKey(data: Data("AWS4\(secret)".utf8))) { key, part in
            SymmetricKey(data: HMAC<SHA256>.authenticationCode(for: Data(part.utf8), using: key))
        }
        let signature = hex(HMAC<SHA256>.authenticationCode(for: Data(text.utf8), using: key))
        return shown
            == "AWS4-HMAC-SHA256 Credential=\(id)/\(scope),SignedHeaders=\(names.joined(separator: ";")),"
            + "Signature=\(signature)"
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private static func decoded(_ text: Substring) -> [UInt8] {
        let parts = text.utf8.split(separator: UInt8(ascii: "%"), omittingEmptySubsequences: false)
        return parts.dropFirst().reduce(into: Array(parts[0])) { bytes, part in
            bytes.append(UInt8(String(decoding: part.prefix(2), as: UTF8.self), radix: 16) ?? 0)
            bytes += part.dropFirst(2)
        }
    }

    private static func encoded(_ bytes: [UInt8], except: String) -> String {
        let plain = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~\(except)".utf8)
        return bytes.map { byte in
            plain.contains(byte) ? String(UnicodeScalar(byte)) : "%" + hex([byte]).uppercased()
        }.joined()
    }
}
