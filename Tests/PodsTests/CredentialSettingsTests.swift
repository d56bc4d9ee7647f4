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
}
