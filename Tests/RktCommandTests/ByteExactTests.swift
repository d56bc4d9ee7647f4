internal import Diagnostics
internal import Testing
@testable internal import rkt_systemd

/// What an app gets is what was asked for, byte for byte, or it is refused by name.
@Suite struct ByteExactTests {
    private static let composed = "caf\u{E9}"
    private static let decomposed = "cafe\u{301}"

    private func parse(_ words: [String]) throws -> RunArguments {
        try RunArguments.parse(words, flags: RunFlags.run(insecureOptions: []))
    }

    /// Texts by their bytes: Swift's own comparison takes some for equal that are not.
    private func bytes(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    @Test func `passes arguments as they are, empty ones too`() throws {
        let words = ["", Self.composed, Self.decomposed, "\u{212A}", "\r\n", "\u{301}", " ", "--x=\u{301}"]
        #expect(bytes(try parse(["a", "--"] + words).apps[0].arguments) == bytes(words))
    }

    @Test func `passes values as they are, whatever follows the equals sign`() throws {
        let arguments = try parse([
            "--set-env=A=\u{301}x", "a", "--exec=\u{301}x", "--environment=\(Self.composed)=\u{301}", "--environment",
            "\(Self.decomposed)=\r\n", "--working-dir=/\u{301}",
        ])
        let flags = arguments.apps[0].flags
        #expect(bytes(arguments.podFlags.pairs("set-env").flatMap { [$0.key, $0.value] }) == bytes(["A", "\u{301}x"]))
        #expect(bytes([flags.string("exec") ?? ""]) == bytes(["\u{301}x"]))
        #expect(
            bytes(flags.pairs("environment").flatMap { [$0.key, $0.value] })
                == bytes([Self.composed, "\u{301}", Self.decomposed, "\r\n"])
        )
        #expect(bytes([flags.string("working-dir") ?? ""]) == bytes(["/\u{301}"]))
    }

    @Test func `keeps names apart that only read the same`() throws {
        let arguments = try parse(["--set-env=\(Self.composed)=1", "--set-env=\(Self.decomposed)=2", "a"])
        #expect(arguments.podFlags.pairs("set-env").map(\.value) == ["1", "2"])
        let file = try EnvironmentFile.parse(
            "\(Self.composed)=1\n\(Self.decomposed)=\u{301}\nK=k\n\u{212A}=K\r\n",
            path: "f"
        )
        #expect(bytes(file.map(\.name)) == bytes([Self.composed, Self.decomposed, "K", "\u{212A}"]))
        #expect(bytes(file.map(\.value)) == bytes(["1", "\u{301}", "k", "K"]))
    }

    // MARK: The caller's environment

    @Test func `inherits the environment byte for byte`() throws {
        let entries = [
            "b=\u{301}", "\(Self.decomposed)=2", "\(Self.composed)=1", "a=x=y\n", "b=second", "=x", "none", "e=",
        ]
        let inherited = try InheritedEnvironment.parse(Array((entries.joined(separator: "\0") + "\0").utf8))
        #expect(
            bytes(inherited.flatMap { [$0.0, $0.1] })
                == bytes(["a", "x=y\n", "b", "\u{301}", Self.decomposed, "2", Self.composed, "1", "e", ""])
        )
    }

    @Test func `does not hand systemd's socket on`() throws {
        #expect(try InheritedEnvironment.parse(Array("NOTIFY_SOCKET=/run/x\0".utf8)).isEmpty)
    }

    @Test(
        arguments: [
            (Array("A=1\0BAD=".utf8) + [0xFF, 0], "BAD"), (Array("BAD=\u{E9}".utf8).dropLast() + [0], "BAD"),
            ([0x41, 0xFE, 0x3D, 0x31, 0], "A\\xfe"), (Array("A\u{1B}=".utf8) + [0xC0, 0x80, 0], "A\\x1b"),
        ] as [([UInt8], String)]
    )
    func `refuses by name what it cannot hand on`(environment: [UInt8], name: String) {
        let error = #expect(throws: RktError.self) { try InheritedEnvironment.parse(environment) }
        #expect(error?.code == .invalidArgument)
        #expect(
            error?.message.hasPrefix("--inherit-env: the environment variable \"\(name)\" is not UTF-8 text") == true
        )
    }

    @Test func `reads this process's own environment`() throws {
        #expect(try InheritedEnvironment.read().contains { $0.0 == "PATH" })
    }

    // MARK: Arguments

    @Test(
        arguments: [
            ([0x2D, 0x2D, 0xFF], "\"--\\xff\""), ([0xC3], "\"\\xc3\""), ([0xED, 0xA0, 0x80], "\"\\xed\\xa0\\x80\""),
            ([0x61, 0xFE, 0x0A], "\"a\\xfe\\x0a\""),
        ] as [([UInt8], String)]
    )
    func `refuses an argument that is not UTF-8 by name`(argument: [UInt8], shown: String) {
        let error = #expect(throws: RktError.self) { try RawArguments.check([Array("run".utf8), argument]) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.hasPrefix("argument 2, \(shown), is not UTF-8 text") == true)
    }

    @Test func `takes every argument that is UTF-8`() throws {
        try RawArguments.check(bytes(["", Self.composed, Self.decomposed, "\u{10FFFF}", "\u{FFFD}", "\u{1}"]))
        try RawArguments.check(RawArguments.all)
    }
}
