import Testing

@testable import ImageFetch

@Suite struct AuthenticationChallengeTests {
    @Test(arguments: [
        (
            #"Bearer realm="https://auth.example.com/token",service="registry",scope="repository:a/b:pull,push""#,
            ["bearer"]
        ),
        (#"Basic realm="a, b = c", Bearer realm="x""#, ["basic", "bearer"]),
        ("Negotiate, Basic realm=x", ["negotiate", "basic"]),
        (#",, Basic  realm = "x" ,"#, ["basic"]),
        ("", []), ("=", []), (#"Bearer realm="no end"#, ["bearer"]),
    ])
    func schemesAreRead(header: String, schemes: [String]) {
        #expect(AuthenticationChallenge.parse(header).map(\.scheme) == schemes)
    }

    @Test func parametersAreRead() {
        let header = #"BEARER Realm="https://a/t?x=1,2",service="a \"b\" \\c",scope=plain,service=second"#
        #expect(
            AuthenticationChallenge.parse(header) == [
                AuthenticationChallenge(
                    scheme: "bearer",
                    parameters: ["realm": "https://a/t?x=1,2", "service": #"a "b" \c"#, "scope": "plain"]
                )
            ]
        )
    }

    @Test func whateverComesEnds() {
        var generator = SystemRandomNumberGenerator()
        let pieces = ["Basic", " ", ",", "=", "\"", "\\", "realm", "é", "\t", "x", "Bearer"]
        for _ in 0..<5_000 {
            let count = Int.random(in: 0...40, using: &generator)
            let header = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            for challenge in AuthenticationChallenge.parse(header) { #expect(!challenge.scheme.isEmpty) }
        }
    }
}
