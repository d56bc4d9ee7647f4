internal import Testing
@testable internal import rkt_systemd

@Suite struct TableTests {
    private func text(_ rows: [[String]]) -> String {
        var table = Table()
        rows.forEach { table.add($0) }
        return table.text
    }

    @Test(
        arguments: [
            // Widths up to seven end at the first stop; with the padding, eight need the next one.
            ([["a", "b"]], "a\tb\n"),
            ([["1234567", "b"]], "1234567\tb\n"),
            ([["12345678", "b"]], "12345678\tb\n"),
            ([["12345678", "b"], ["a", "b"]], "12345678\tb\na\t\tb\n"),
            ([["1234567", "b"], ["a", "b"]], "1234567\tb\na\tb\n"),
            ([["123456789012345", "x"], ["1", "x"]], "123456789012345\tx\n1\t\tx\n"),
            ([["1234567890123456", "x"], ["1", "x"]], "1234567890123456\tx\n1\t\t\tx\n"),
        ] as [([[String]], String)]
    )
    func `pads cells with tabs to stops of eight`(rows: [[String]], expected: String) {
        #expect(text(rows) == expected)
    }

    @Test func `keeps the columns of empty cells`() {
        #expect(
            text([["UUID", "APP", "STATE"], ["0c3ab969", "redis", "running"], ["", "nginx", ""]])
                == "UUID\t\tAPP\tSTATE\n0c3ab969\tredis\trunning\n\t\tnginx\t\n"
        )
    }

    @Test func `begins a column anew where a row does not have it`() {
        // The wide cell of the first block does not widen the second.
        #expect(
            text([["aaaaaaaaa", "b", "c"], ["a", "b", "c"], ["alone"], ["a", "b", "c"]])
                == "aaaaaaaaa\tb\tc\na\t\tb\tc\nalone\na\tb\tc\n"
        )
    }

    @Test func `does not count a row's last cell in any column`() {
        #expect(text([["a", "very long last cell"], ["a", "b", "c"]]) == "a\tvery long last cell\na\tb\tc\n")
        #expect(text([["very long and last"], ["a", "b"]]) == "very long and last\na\tb\n")
    }

    @Test func `counts characters and not bytes`() {
        #expect(text([["äöüäöüä", "x"], ["12345678", "x"]]) == "äöüäöüä\t\tx\n12345678\tx\n")
    }

    @Test func `does not let a cell make columns or lines`() {
        #expect(text([["a\tb\nc\r\nd", "x"]]) == "a b c d\tx\n")
    }

    @Test func `is empty without rows`() {
        #expect(text([]) == "")
        #expect(text([[]]) == "\n")
    }
}
