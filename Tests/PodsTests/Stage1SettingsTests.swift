import Diagnostics
import LinuxOS
@testable import Pods
import TestSupport
import Testing

/// The default stage1 by configuration.
@Suite struct Stage1SettingsTests {
    private let temporary: TemporaryDirectory

    init() throws {
        temporary = try TemporaryDirectory()
    }

    private func add(_ directory: String, _ name: String, _ fields: String, head: String = Self.head) throws {
        let place = try Directory.ensure(path: temporary.path(of: directory)).ensureDirectory("stage1.d")
        try place.writeInPlace(name, "{\(head)\(fields)}")
    }

    private static let head = #""rktKind":"stage1","rktVersion":"v1""#

    private func choice(_ directories: String...) throws -> Stage1Choice? {
        try Stage1Settings(directories: directories.map { temporary.path(of: $0) }).choice()
    }

    @Test func sayNothingWhereThereAreNone() throws {
        #expect(try choice("system", "local") == nil)
        try add("system", "empty.json", "")
        #expect(try choice("system", "local") == nil)
    }

    @Test func chooseOneOfRktsOwn() throws {
        try add("system", "a.json", #","name":"fly""#)
        #expect(try choice("system") == .builtIn(.fly))
        try add("local", "a.json", #","name":"coreos.com/rkt/stage1-host","version":"1.30.0""#)
        #expect(try choice("system", "local") == .builtIn(.nspawn))
        #expect(try choice("local", "system") == .builtIn(.fly))
    }

    @Test func laterDirectoriesOverrideFieldByField() throws {
        try add("system", "a.json", #","name":"example.com/a","version":"1","location":"/a.aci""#)
        try add("local", "a.json", #","location":"file:///b%20b.aci""#)
        try add("user", "a.json", #","name":"example.com/c","version":"2""#)
        #expect(
            try choice("system", "local") == .image(.configured(name: "example.com/a:1", location: "/b b.aci"))
        )
        #expect(
            try choice("system", "local", "user") == .image(.configured(name: "example.com/c:2", location: "/b b.aci"))
        )
    }

    @Test func filesOfOneDirectoryAddUp() throws {
        try add("local", "a.json", #","name":"example.com/a","version":"1""#)
        try add("local", "b.json", #","location":"/a.aci""#)
        #expect(try choice("local") == .image(.configured(name: "example.com/a:1", location: "/a.aci")))
        try add("local", "c.json", #","location":"/a.aci""#)
        #expect(try text(of: failure { try choice("local") }).contains("c.json: another file of the same directory"))
    }

    @Test func onlyRegularFilesThatEndInJSONCount() throws {
        try add("local", "a.conf", "nonsense")
        try add("local", "b.json.bak", "nonsense")
        let place = try Directory(path: temporary.path(of: "local/stage1.d"))
        try place.makeLink("c.json", to: "a.conf")
        try place.makeDirectory("d.json")
        #expect(try choice("local") == nil)
    }

    @Test(
        arguments: [
            ("", "", "it must have rktKind and rktVersion"), (#""rktKind":"stage1""#, "", "it must have rktKind and"),
            (#""rktKind":"paths","rktVersion":"v1""#, "", #"rktKind is "paths""#),
            (#""rktKind":"stage1","rktVersion":"v2""#, "", #"rktVersion "v2" is not known"#),
            (head, #","name":"example.com/a""#, "a name without a version"),
            (head, #","version":"1""#, "a version without a name"),
            (head, #","location":"a.aci""#, "either a relative path or a URL without scheme"),
            (head, #","location":"ftp://a/b""#, #"location is "ftp://a/b": its scheme must be"#),
            (head, #","location":"https://a/b""#, "whose name ends with .aci"),
            (head, #","location":"file://a/b""#, "an absolute path of this machine"),
            (head, #","name":1"#, "not valid"), (head, ",", "not valid JSON"),
        ]
    )
    func wrongOnesAreNamed(head: String, fields: String, reason: String) throws {
        try add("local", "x.json", fields, head: head)
        let text = try text(of: failure { try choice("local") })
        #expect(text.contains(temporary.path(of: "local/stage1.d/x.json")))
        #expect(text.contains(reason))
    }

    @Test func aLocationMayBeElsewhere() throws {
        try add("system", "a.json", #","location":"docker://example.com/a""#)
        #expect(try choice("system") == .image(.configured(name: nil, location: "docker://example.com/a")))
        try add("local", "a.json", #","location":"https://example.com/a.aci""#)
        #expect(try choice("system", "local") == .image(.configured(name: nil, location: "https://example.com/a.aci")))
        try add("local", "b.json", #","name":"units""#)
        #expect(try choice("system", "local") == .builtIn(.units))
    }

    private func text(of error: RktError) -> String { "\(error)" }
}

/// The flags that choose a stage1.
@Suite struct Stage1ChoiceTests {
    @Test(
        arguments: [
            ("units", .units), ("fly", .fly), ("nspawn", .nspawn), ("coreos.com/rkt/stage1-fly", .fly),
            ("coreos.com/rkt/stage1-fly:1.30.0", .fly), ("coreos.com/rkt/stage1-coreos:1.30.0", .nspawn),
            ("coreos.com/rkt/stage1-src", .nspawn), ("coreos.com/rkt/stage1-kvm", nil), ("fly:1", nil), ("image", nil),
        ] as [(String, RuntimeConfiguration.Stage1?)]
    )
    func ownNames(name: String, stage1: RuntimeConfiguration.Stage1?) throws {
        #expect(try Stage1Choice(flag: "stage1-name", name) == stage1.map { .builtIn($0) } ?? .image(.name(name)))
    }

    @Test(
        arguments: [
            ("file:///a/b", "/a/b"), ("FILE://localhost/a", "/a"), ("file:///a%20%c3%A4", "/a ä"), ("file:///a%", nil),
            ("file:///%0a", "/\n"), ("file://host/a", nil), ("file:///%00", nil), ("/a", nil), ("file:/a", nil),
        ] as [(String, String?)]
    )
    func urls(url: String, path: String?) throws {
        guard let path else {
            #expect(try failure { try Stage1Choice(flag: "stage1-url", url) }.code == .invalidArgument)
            return
        }
        #expect(try Stage1Choice(flag: "stage1-url", url) == .image(.file(path)))
    }

    @Test(
        arguments: [
            ("https://example.com/a.aci", true), ("http://example.com/a.aci", true), ("docker://example.com/a", true),
            ("https://example.com/a", false), ("docker://A", false), ("ftp://example.com/a.aci", false),
        ]
    )
    func urlsOfServers(url: String, isRight: Bool) throws {
        guard isRight else {
            #expect(try failure { try Stage1Choice(flag: "stage1-url", url) }.code == .invalidArgument)
            return
        }
        #expect(try Stage1Choice(flag: "stage1-url", url) == .image(.remote(url)))
    }
}
