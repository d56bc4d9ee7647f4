import Diagnostics
import ImageFetch
import ImageFixtures
import LinuxOS
import Testing

@testable import Pods

@Suite struct CredentialSettingsTests {
    let scratch: Scratch

    init() throws {
        scratch = try Scratch()
    }

    private func write(_ directory: String, _ name: String, _ text: String) throws {
        let place = try Directory.ensure(path: "\(scratch.path)/\(directory)/auth.d")
        try place.write(name, Array(text.utf8))
    }

    private func registries(_ names: String, _ user: String) -> String {
        #"{"rktKind":"dockerAuth","rktVersion":"v1","registries":[\#(names)],"#
            + #""credentials":{"user":"\#(user)","password":"p"}}"#
    }

    private func find(_ host: String) throws -> Credential? {
        let directories = ["system", "local", "missing"].map { "\(scratch.path)/\($0)" }
        return try CredentialSettings(directories: directories, others: NoCredentials())
            .credential(for: host, repository: nil)
    }

    @Test func laterDirectoriesOverride() throws {
        try write("system", "a.json", registries(#""one.com","two.com","docker.io""#, "system"))
        try write("local", "a.json", registries(#""two.com""#, "local"))
        try write("local", "ignored.txt", "{")
        #expect(try find("one.com") == .password(user: "system", password: "p"))
        #expect(try find("two.com") == .password(user: "local", password: "p"))
        #expect(try find("registry-1.docker.io") == .password(user: "system", password: "p"))
        #expect(try find("three.com") == nil)
    }

    @Test(arguments: [
        "{}", #"{"rktKind":"stage1","rktVersion":"v1"}"#, #"{"rktKind":"dockerAuth","rktVersion":"v2"}"#,
        #"{"rktKind":"dockerAuth","rktVersion":"v1","registries":[],"credentials":{"user":"u","password":"p"}}"#,
        #"{"rktKind":"dockerAuth","rktVersion":"v1","registries":["a"],"credentials":{"user":"","password":"p"}}"#,
    ])
    func whatIsWrongIsNamed(text: String) throws {
        try write("local", "wrong.json", text)
        let error = #expect(throws: RktError.self) { try find("a") }
        #expect("\(try #require(error))".contains("auth.d/wrong.json"))
    }

    @Test func twoFilesForOneRegistryAreRefused() throws {
        try write("local", "a.json", registries(#""one.com""#, "a"))
        try write("local", "b.json", registries(#""one.com""#, "b"))
        #expect(throws: RktError.self) { try find("one.com") }
    }

    // MARK: Servers that have ACIs

    private func domain(_ names: String, _ rest: String) -> String {
        #"{"rktKind":"auth","rktVersion":"v1","domains":[\#(names)],\#(rest)}"#
    }

    private func find(domain: String) throws -> DomainCredential? {
        let directories = ["system", "local", "missing"].map { "\(scratch.path)/\($0)" }
        return try CredentialSettings(directories: directories, others: NoCredentials()).credential(forDomain: domain)
    }

    @Test func serversHaveCredentialsOfThreeKinds() throws {
        let basic = #""type":"basic","credentials":{"user":"u","password":"p:q"}"#
        try write("system", "a.json", domain(#""one.com","Two.com:8443""#, basic))
        try write("system", "b.json", domain(#""three.com""#, #""type":"oauth","credentials":{"token":"t"}"#))
        let aws = #""type":"aws","credentials":{"accessKeyID":"i","secretAccessKey":"k""#
        try write("system", "c.json", domain(#""four.com""#, aws + "}"))
        try write("local", "d.json", domain(#""four.com""#, aws + #","awsRegion":"eu-west-1"}"#))
        #expect(try find(domain: "one.com") == .basic(user: "u", password: "p:q"))
        #expect(try find(domain: "two.com:8443") == .basic(user: "u", password: "p:q"))
        #expect(try find(domain: "two.com") == nil)
        #expect(try find(domain: "three.com") == .bearer("t"))
        #expect(try find(domain: "four.com") == .aws(accessKeyID: "i", secretAccessKey: "k", region: "eu-west-1"))
        // A registry is something else.
        #expect(try find("one.com") == nil)
    }

    @Test(
        arguments: [
            (#""a""#, #""type":"basic","credentials":{"user":"","password":"p"}"#),
            (#""a""#, #""type":"basic","credentials":{"user":"u:v","password":"p"}"#),
            (#""a""#, #""type":"basic","credentials":{"user":"u"}"#),
            (#""a""#, #""type":"oauth","credentials":{"token":""}"#),
            (#""a""#, #""type":"oauth","credentials":{"token":"a\r\nHost: b"}"#),
            (#""a""#, #""type":"kerberos","credentials":{}"#),
            (#""a""#, #""type":"aws","credentials":{"accessKeyID":"i","secretAccessKey":""}"#),
            (#""a""#, #""type":"basic""#),
            ("", #""type":"oauth","credentials":{"token":"t"}"#),
            (#""""#, #""type":"oauth","credentials":{"token":"t"}"#),
            (#""a","A""#, #""type":"oauth","credentials":{"token":"t"}"#),
        ]
    )
    func whatIsWrongWithAServersIsNamed(domains: String, rest: String) throws {
        try write("local", "wrong.json", domain(domains, rest))
        let error = #expect(throws: RktError.self) { try find(domain: "a") }
        #expect("\(try #require(error))".contains("auth.d/wrong.json"))
    }
}
