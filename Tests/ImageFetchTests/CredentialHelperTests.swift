import Diagnostics
import Glibc
import ImageFixtures
import Testing

@testable import ImageFetch

/// Programs that keep credentials, and those that only say so.
@Suite struct CredentialHelperTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    /// Puts a helper into the tests' own `PATH`.
    private func helper(_ name: String, _ script: String) throws {
        let path = try scratch.file("text", Array("#!/bin/sh\n\(script)\n".utf8))
        // No program is run while somebody may write to it, as what other tests have just forked may do to what this one has
        // opened.
        try scratch.shell("install -m 755 \(path) \(scratch.path)/docker-credential-\(name)")
    }

    private func ask(_ name: String, patience: Duration = .seconds(60)) throws -> Credential? {
        try CredentialHelper(name, search: "relative:\(scratch.path)", patience: patience).get("example.com:5000")
    }

    private static func answer(_ user: String, _ secret: String) -> String {
        #"echo '{"ServerURL":"x","Username":"\#(user)","Secret":"\#(secret)"}'"#
    }

    @Test func itIsAskedForTheServer() throws {
        try helper("own", #"read server || true; echo "{\"Username\":\"$1 $server\",\"Secret\":\"s\"}""#)
        #expect(try ask("own") == .password(user: "get example.com:5000", password: "s"))
    }

    /// It need not even read what it is asked.
    @Test(arguments: [
        ("me", "secret", Credential.password(user: "me", password: "secret")),
        ("<token>", "t", .identityToken("t")), ("me", "", nil),
    ])
    func whatItKeeps(user: String, secret: String, expected: Credential?) throws {
        try helper("own", Self.answer(user, secret))
        #expect(try ask("own") == expected)
    }

    @Test func oneThatHasNoneSaysSo() throws {
        try helper("own", "echo 'credentials not found in native keychain'; exit 1")
        #expect(try ask("own") == nil)
    }

    @Test func oneThatFailsIsNamed() throws {
        try helper("own", #"printf 'the vault \033[2J is locked\n'; exit 1"#)
        let text = "\(try #require(#expect(throws: RktError.self) { try ask("own") }))"
        #expect(text.contains("docker-credential-own"))
        #expect(text.contains("is locked"))
        #expect(!text.contains("\u{1b}"))
    }

    @Test func oneThatFailsTellsNoSecret() throws {
        try helper("own", "\(Self.answer("me", "hush")); exit 1")
        let text = "\(try #require(#expect(throws: RktError.self) { try ask("own") }))"
        #expect(text.hasSuffix("docker-credential-own fails for example.com:5000"))
    }

    @Test(arguments: ["", "not json", #"{"Username":"me"}"#, #"{"Username":"me","Secret":"hush""#])
    func whatCannotBeUnderstoodIsNotShown(output: String) throws {
        try helper("own", "echo '\(output)'")
        let text = "\(try #require(#expect(throws: RktError.self) { try ask("own") }))"
        #expect(text.contains("docker-credential-own"))
        #expect(!text.contains("hush"))
    }

    @Test(.timeLimit(.minutes(10)), arguments: ["exec sleep 300", "exec >&-; exec sleep 300"])
    func oneThatDoesNotAnswerIsKilled(script: String) throws {
        try helper("own", "echo $$ >\(scratch.path)/pid; \(script)")
        let error = #expect(throws: RktError.self) { try ask("own", patience: .milliseconds(500)) }
        #expect(error?.code == .timeout)
        // It was reaped too.
        try scratch.shell("! kill -0 $(cat \(scratch.path)/pid)")
    }

    /// What it leaves behind may keep its output open.
    @Test(.timeLimit(.minutes(10))) func oneThatLeavesAProcessBehindIsNotWaitedFor() throws {
        try helper("own", "sleep 300 & echo $! >\(scratch.path)/pid; \(Self.answer("me", "secret"))")
        #expect(try ask("own") == .password(user: "me", password: "secret"))
        try scratch.shell("kill $(cat \(scratch.path)/pid)")
    }

    @Test(.timeLimit(.minutes(10))) func oneThatNeverEndsToPrintIsCutOff() throws {
        try helper("own", "exec yes")
        let error = #expect(throws: RktError.self) { try ask("own") }
        #expect(error?.code == .limitExceeded)
    }

    @Test(arguments: ["../own", "/bin/sh", "a/b", "", ".", "..", "-x", "a b", "a\nb", "own\u{0}"])
    func onlyBareWordsAreNames(name: String) throws {
        try helper("own", Self.answer("me", "secret"))
        let error = #expect(throws: RktError.self) { try ask(name) }
        #expect(error?.code == .invalidData)
    }

    @Test func onlyAbsoluteDirectoriesAreSearched() throws {
        try helper("own", Self.answer("me", "secret"))
        for search in ["", ".", ":", "relative"] {
            let error = #expect(throws: RktError.self) { try CredentialHelper("own", search: search) }
            #expect(error?.code == .missingDependency)
        }
    }

    // MARK: Files that name them

    private func find(_ file: String, _ host: String) throws -> Credential? {
        let path = try scratch.file("config.json", Array(file.utf8))
        return try DockerCredentials(paths: [path], search: scratch.path).credential(for: host, repository: "app")
    }

    @Test func filesNameThem() throws {
        try helper("one", #"read server || true; echo "{\"Username\":\"one\",\"Secret\":\"$server\"}""#)
        try helper("all", #"read server || true; echo "{\"Username\":\"all\",\"Secret\":\"$server\"}""#)
        let file = #"""
            {"credHelpers":{"https://one.com/v1/":"one","docker.io":"one"},"credsStore":"all",
            "auths":{"two.com":{"auth":"YTpi"}}}
            """#
        #expect(try find(file, "one.com") == .password(user: "one", password: "one.com"))
        #expect(try find(file, "two.com") == .password(user: "all", password: "two.com"))
        #expect(
            try find(file, "registry-1.docker.io")
                == .password(user: "one", password: "https://index.docker.io/v1/")
        )
    }

    @Test func whatAStoreDoesNotHaveMayBeInTheFile() throws {
        try helper("empty", "echo 'credentials not found in native keychain'; exit 1")
        let entries = #""auths":{"two.com":{"auth":"YTpi"}}"#
        #expect(try find(#"{"credsStore":"empty",\#(entries)}"#, "two.com") == .password(user: "a", password: "b"))
        // A file of another machine.
        #expect(try find(#"{"credsStore":"missing",\#(entries)}"#, "two.com") == .password(user: "a", password: "b"))
        #expect(try find(#"{"credsStore":"missing",\#(entries)}"#, "three.com") == nil)
    }

    @Test func whoIsNamedForARegistryMustBeThere() throws {
        for name in ["missing", "../x"] {
            let error = #expect(throws: RktError.self) {
                try find(#"{"credHelpers":{"one.com":"\#(name)"}}"#, "one.com")
            }
            #expect("\(try #require(error))".contains("config.json"))
        }
    }

    @Test(arguments: [
        (#"{"identitytoken":"refresh","auth":"YTo="}"#, Credential.identityToken("refresh")),
        (#"{"registrytoken":"bearer"}"#, .registryToken("bearer")),
        (#"{"identitytoken":"","auth":"YTpi"}"#, .password(user: "a", password: "b")),
    ])
    func tokens(entry: String, expected: Credential) throws {
        #expect(try find(#"{"auths":{"one.com":\#(entry)}}"#, "one.com") == expected)
    }
}
