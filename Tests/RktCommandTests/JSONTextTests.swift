internal import Diagnostics
internal import FoundationEssentials
internal import Testing
@testable internal import rkt_systemd

@Suite struct JSONTextTests {
    private struct Pod: Encodable {
        struct App: Encodable {
            var name: String
            var exitCode: Int32?

            enum CodingKeys: String, CodingKey {
                case name
                case exitCode = "exit_code"
            }
        }

        var zulu = "first"
        var name: String
        var state: String?
        var apps: [App]
        var labels: [String: Int]
        var ready: Bool
    }

    private static let pod = Pod(
        name: "0c3ab969",
        apps: [.init(name: "redis", exitCode: -1), .init(name: "nginx")],
        labels: ["b": 2, "a": 1, "B": 3],
        ready: true
    )

    @Test func `keeps the order of declaration and leaves out what is nil`() throws {
        #expect(
            try JSONText.encode(Self.pod)
                == #"{"zulu":"first","name":"0c3ab969","apps":[{"name":"redis","exit_code":-1},{"name":"nginx"}],"#
                + #""labels":{"B":3,"a":1,"b":2},"ready":true}"#
        )
    }

    @Test func `indents by tabs when pretty`() throws {
        let text = try JSONText.encode([Self.pod], .pretty)
        #expect(
            text == """
                [
                \t{
                \t\t"zulu": "first",
                \t\t"name": "0c3ab969",
                \t\t"apps": [
                \t\t\t{
                \t\t\t\t"name": "redis",
                \t\t\t\t"exit_code": -1
                \t\t\t},
                \t\t\t{
                \t\t\t\t"name": "nginx"
                \t\t\t}
                \t\t],
                \t\t"labels": {
                \t\t\t"B": 3,
                \t\t\t"a": 1,
                \t\t\t"b": 2
                \t\t},
                \t\t"ready": true
                \t}
                ]
                """
        )
    }

    @Test(arguments: [JSONText.Layout.compact, .pretty])
    func `prints empty lists and objects without lines`(layout: JSONText.Layout) throws {
        struct Nothing: Encodable {}
        #expect(try JSONText.encode([Int](), layout) == "[]")
        #expect(try JSONText.encode([String: Int](), layout) == "{}")
        #expect(try JSONText.encode(Nothing(), layout) == "{}")
        #expect(try JSONText.encode(Int?.none, layout) == "null")
    }

    @Test(
        arguments: [
            ("plain é 世 /", #""plain é 世 /""#), ("\"\\", #""\"\\""#), ("\n\r\t", #""\n\r\t""#),
            ("\u{0}\u{8}\u{1b}\u{1f}", #""\u0000\u0008\u001b\u001f""#), ("<a>&", #""\u003ca\u003e\u0026""#),
            ("\u{2028}\u{2029}", #""\u2028\u2029""#), ("\u{7f}", "\"\u{7f}\""),
        ]
    )
    func `escapes text as Go does`(text: String, expected: String) throws {
        #expect(try JSONText.encode(text) == expected)
        #expect(try JSONDecoder().decode(String.self, from: Data(expected.utf8)) == text)
    }

    @Test func `prints numbers in full`() throws {
        #expect(try JSONText.encode([UInt64.max]) == "[18446744073709551615]")
        #expect(try JSONText.encode([Int64.min]) == "[-9223372036854775808]")
        #expect(try JSONText.encode([1.0, 0.5, -2.25, 1e20]) == "[1,0.5,-2.25,1e+20]")
        #expect(throws: RktError.self) { try JSONText.encode([Double.nan]) }
        #expect(throws: RktError.self) { try JSONText.encode([Double.infinity]) }
    }

    @Test func `encodes containers that are nested by hand`() throws {
        struct Custom: Encodable {
            func encode(to encoder: any Encoder) throws {
                var container = encoder.container(keyedBy: Key.self)
                var list = container.nestedUnkeyedContainer(forKey: .list)
                try list.encodeNil()
                try list.encode(list.count)
                var inner = container.nestedContainer(keyedBy: Key.self, forKey: .inner)
                try inner.encode("x", forKey: .list)
                try container.encodeNil(forKey: .nothing)
            }

            enum Key: CodingKey { case list, inner, nothing }
        }
        #expect(try JSONText.encode(Custom()) == #"{"list":[null,1],"inner":{"list":"x"},"nothing":null}"#)
    }
}
