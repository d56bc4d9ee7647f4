import Diagnostics
import Manifests
import Testing

@Suite struct ACNameTests {
    @Test(arguments: ["a", "abc", "a-b", "0", "redis-7"])
    func acceptsNames(_ text: String) throws {
        #expect(try ACName(text).description == text)
    }

    @Test(arguments: ["", "-a", "a-", "a--b", "A", "a.b", "a/b", "a b", "ä", "a\n"])
    func refusesOtherText(_ text: String) {
        #expect(throws: RktError.self) { try ACName(text) }
    }

    @Test(arguments: [("Foo_Bar", "foo-bar"), ("/a//b/", "a-b"), ("a.b:c", "a-b-c"), ("ÄB", "b")])
    func sanitizesToTheNearestName(_ text: String, _ name: String) throws {
        #expect(try ACName(sanitizing: text).description == name)
    }

    @Test func sanitizingNothingFails() {
        #expect(throws: RktError.self) { try ACName(sanitizing: "/./") }
        #expect(throws: RktError.self) { try ACIdentifier(sanitizing: "---") }
    }

    @Test(arguments: ["example.com/app", "a~b_c-d.e/f", "0"])
    func acceptsIdentifiers(_ text: String) throws {
        #expect(try ACIdentifier(text).description == text)
    }

    @Test(arguments: ["", "/a", "a/", "a//b", "a..b", "A", "a:b", "a,b"])
    func refusesOtherIdentifiers(_ text: String) {
        #expect(throws: RktError.self) { try ACIdentifier(text) }
    }

    @Test(arguments: [("Example.com//App", "example.com/app"), ("_a b_", "a-b"), ("a/-b", "a/b")])
    func sanitizesIdentifiers(_ text: String, _ name: String) throws {
        #expect(try ACIdentifier(sanitizing: text).description == name)
    }
}
