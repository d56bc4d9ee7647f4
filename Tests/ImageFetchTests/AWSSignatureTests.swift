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
}
