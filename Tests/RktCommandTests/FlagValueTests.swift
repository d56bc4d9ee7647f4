internal import Diagnostics
internal import Testing
@testable internal import rkt_systemd

@Suite struct FlagValueTests {
    @Test(
        arguments: [
            ("0", .zero), ("5s", .seconds(5)), ("30m", .seconds(1800)), ("24h", .seconds(86_400)),
            ("1h2m3.5s", .milliseconds(3_723_500)), ("100ms", .milliseconds(100)), ("-1.5h", .seconds(-5400)),
            ("+5s", .seconds(5)), (".5s", .milliseconds(500)), ("1.s", .seconds(1)), ("1us", .microseconds(1)),
            ("1µs", .microseconds(1)), ("1μs", .microseconds(1)), ("7ns", .nanoseconds(7)),
            ("0.1s", .milliseconds(100)), ("0.000000001s", .nanoseconds(1)), ("0.0000000019s", .nanoseconds(1)),
            ("0.33333333333333333333h", .nanoseconds(1_199_999_999_999)), ("3s2h", .seconds(7203)),
            ("2562047h47m16.854775807s", .nanoseconds(Int64.max)),
        ] as [(String, Duration)]
    )
    func `reads durations`(text: String, expected: Duration) throws {
        #expect(try GoDuration(parsing: text).duration == expected)
    }

    @Test(
        arguments: [
            "", "5", "-", "+", "s", ".s", "-.s", "1..5s", "1.2.3s", "1x", "1 s", "1h ", " 1h", "1h-2m", "--1s", "1e3s",
            "2562047h47m16.854775808s", "99999999999999999999s", "3000000h", "٣s", "1S", "abc",
        ]
    )
    func `refuses what is no duration`(text: String) {
        let error = #expect(throws: RktError.self) { try GoDuration(parsing: text) }
        #expect(error?.code == .invalidArgument)
    }

    @Test(
        arguments: [
            ("0", "0s"), ("30m", "30m0s"), ("24h", "24h0m0s"), ("90s", "1m30s"), ("1.5s", "1.5s"), ("100ms", "100ms"),
            ("1h1ms", "1h0m0.001s"), ("1500us", "1.5ms"), ("15ns", "15ns"), ("-90s", "-1m30s"), ("-5ms", "-5ms"),
        ]
    )
    func `prints durations as Go does`(text: String, expected: String) throws {
        #expect(try GoDuration(parsing: text).description == expected)
    }

    @Test(
        arguments: [
            ("true", .forever), ("1", .forever), ("false", .none), ("0", .none), ("0s", .none), ("-1s", .forever),
            ("2m", .atMost(.seconds(120))),
        ] as [(String, WaitLimit)]
    )
    func `reads how long to wait`(text: String, expected: WaitLimit) throws {
        #expect(try WaitLimit(text) == expected)
    }

    @Test func `splits pairs at the first equals sign`() {
        #expect(FlagValue.pair("A=b=c")?.key == "A")
        #expect(FlagValue.pair("A=b=c")?.value == "b=c")
        #expect(FlagValue.pair("A=")?.value == "")
        #expect(FlagValue.pair("A") == nil)
        #expect(FlagValue.pair("=b") == nil)
        #expect(FlagValue.pair("") == nil)
        // A combining mark behind it must not hide the sign.
        #expect(FlagValue.pair("A=\u{301}b")?.key == "A")
    }

    @Test(
        arguments: [
            ("plain", "\"plain\""), ("a\"b\\c", #""a\"b\\c""#), ("\u{1b}[2J", #""\x1b[2J""#), ("a\nb", #""a\x0ab""#),
        ]
    )
    func `quotes for messages`(text: String, expected: String) {
        #expect(FlagValue.quoted(text) == expected)
    }

    @Test func `reads environment files`() throws {
        let text = "# comment\nA=1\n\n;B=2\nC=\"quoted = kept\" \r\n D=\nlast=x"
        let pairs = try EnvironmentFile.parse(text, path: "/etc/env")
        #expect(pairs.map(\.name) == ["A", "C", " D", "last"])
        #expect(pairs.map(\.value) == ["1", "\"quoted = kept\" ", "", "x"])
    }

    @Test(
        arguments: [
            ("A", "environment variable must be specified as name=value (file \"/etc/env\")"),
            ("=x", "environment variable must be specified as name=value (file \"/etc/env\")"),
            ("A=1\0", "environment variable must be specified as name=value (file \"/etc/env\")"),
            ("A=1\nA=2", "environment variable \"A\" already set (file \"/etc/env\")"),
        ]
    )
    func `refuses environment files with other lines`(text: String, message: String) {
        let error = #expect(throws: RktError.self) { try EnvironmentFile.parse(text, path: "/etc/env") }
        #expect(error?.message == message)
    }

    private static let commands = CommandNames(
        "rkt",
        [
            CommandNames("image", [CommandNames("list"), CommandNames("rm"), CommandNames("render")]),
            CommandNames("list"), CommandNames("run"), CommandNames("run-prepared"), CommandNames("rm"),
        ]
    )

    @Test(
        arguments: [
            (["im", "li"], ["image", "list"], []), (["run", "x"], ["run"], ["x"]),
            (["run-", "x"], ["run-prepared"], ["x"]),
            (["l", "--full"], ["list"], ["--full"]), ([], [], []), (["image"], ["image"], []),
            (["--debug", "--dir", "list", "list"], ["list"], ["--debug", "--dir", "list"]),
            (["--dir=/x", "image", "--debug", "rm", "im"], ["image", "rm"], ["--dir=/x", "--debug", "im"]),
            (["--net=host", "run", "list"], ["run"], ["--net=host", "list"]), (["--", "list"], [], ["--", "list"]),
        ] as [([String], [String], [String])]
    )
    func `finds the command on a command line`(words: [String], command: [String], rest: [String]) throws {
        let line = try Self.commands.split(words) { $0 == "debug" }
        #expect(line == CommandNames.Line(command: command, arguments: rest))
    }

    @Test(
        arguments: [
            (["r"], "ambiguous command \"r\": it could be run, run-prepared, rm"),
            (["nope"], "unknown command \"nope\" for \"rkt\""),
            (["image", "x"], "unknown command \"x\" for \"rkt image\""),
            ([""], "unknown command \"\" for \"rkt\""),
        ] as [([String], String)]
    )
    func `refuses words that are no command`(words: [String], message: String) {
        let error = #expect(throws: RktError.self) { try Self.commands.split(words) { _ in false } }
        #expect(error?.message == message)
    }
}
