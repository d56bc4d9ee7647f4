internal import Testing
@testable internal import rkt_systemd

@Suite struct TerminalTextTests {
    @Test(
        arguments: [
            ("plain text ~!", "plain text ~!"),
            ("Grüße 世界 👩‍👩‍👧 é", "Grüße 世界 👩‍👩‍👧 é"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\x1b[2J\\x1b]0;title\\x07"),
            ("a\u{0}b\u{7f}c\u{8}", "a\\x00b\\x7fc\\x08"),
            ("c1 \u{9b}31m \u{85}", "c1 \\u{9b}31m \\u{85}"),
            ("\u{202e}gpj.exe\u{2066}\u{feff}", "\\u{202e}gpj.exe\\u{2066}\\u{feff}"),
            ("\u{2028}\u{2029}\u{e000}\u{ad}", "\\u{2028}\\u{2029}\\u{e000}\\u{ad}"),
            ("col\tumn\nline", "col\tumn\\x0aline"),
            ("over\rwritten", "over\\x0dwritten"), ("tty line\r", "tty line"),
            ("tty\r\nlines\r\n", "tty\\x0alines\\x0a"),
        ]
    )
    func `writes out what is not printable`(text: String, expected: String) {
        #expect(TerminalText.sanitized(text) == expected)
    }

    @Test(
        arguments: [
            ([0xff, 0xfe], "\\xff\\xfe"),
            ([0x61, 0xc3], "a\\xc3"),
            ([0xc3, 0x28], "\\xc3("),
            // Overlong forms and surrogates are no UTF-8: ESC cannot hide in them.
            ([0xc0, 0x9b], "\\xc0\\x9b"),
            ([0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"),
            ([0xf0, 0x9f, 0x98], "\\xf0\\x9f\\x98"),
            // A C1 control as a lone byte.
            ([0x9b, 0x41], "\\x9bA"),
        ] as [([UInt8], String)]
    )
    func `writes out bytes that are not UTF-8`(bytes: [UInt8], expected: String) {
        #expect(TerminalText.sanitized(bytes) == expected)
    }

    @Test func `keeps the controls it is told to keep`() {
        #expect(TerminalText.sanitized("a\tb\nc", keeping: []) == "a\\x09b\\x0ac")
        #expect(TerminalText.sanitized("a\tb\nc\r\n", keeping: [.tab, .newline]) == "a\tb\nc\n")
    }

    @Test func `leaves no control or format character for any byte pair`() {
        for first in UInt8.min...UInt8.max {
            for second in UInt8.min...UInt8.max {
                let text = TerminalText.sanitized([first, second], keeping: [])
                let clean = text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7f...0x9f ~= $0.value) }
                #expect(clean, "\(first) \(second)")
            }
        }
    }

    @Test func `passes bytes through where there is no terminal`() {
        let bytes: [UInt8] = [0x1b, 0xff, 0x0d, 0x0a]
        #expect(TerminalText.output(bytes, isTerminal: false) == bytes)
        #expect(TerminalText.output(bytes, isTerminal: true, keeping: [.newline]) == Array("\\x1b\\xff\n".utf8))
    }
}
