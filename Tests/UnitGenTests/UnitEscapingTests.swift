import Diagnostics
import Testing
import UnitGen

@Suite struct UnitEscapingTests {
    @Test(arguments: [
        ("", "\"\""), ("a", "\"a\""), ("a b", "\"a b\""), ("'", "\"'\""), ("\"\\", "\"\\\"\\\\\""), ("%n", "\"%%n\""),
        ("$HOME ${X}", "\"$HOME ${X}\""), (";", "\";\""), ("a\nb\t", "\"a\\x0ab\\x09\""), ("é😀", "\"é😀\""),
        ("\u{85}", "\"\\xc2\\x85\""), (SeededGenerator.noncharacters[0], "\"\\xef\\xbf\\xbe\""),
    ])
    func anArgumentIsOneQuotedWord(text: String, escaped: String) throws {
        #expect(try UnitEscaping.execArgument(Array(text.utf8)) == escaped)
    }

    @Test func bytesThatAreNoTextAreWrittenOut() throws {
        #expect(try UnitEscaping.execArgument([0xC3, 0x28, 0xFF]) == "\"\\xc3(\\xff\"")
    }

    @Test func anArgumentComesBackByteForByte() throws {
        var random = SeededGenerator(seed: 3)
        for index in 0..<5_000 {
            let argument = index.isMultiple(of: 2) ? random.bytes(maximum: 20) : Array(random.text(maximum: 20).utf8)
            guard !argument.contains(0) else {
                #expect(throws: RktError.self) { try UnitEscaping.execArgument(argument) }
                continue
            }
            var file = UnitFile()
            try file.add("Service", "ExecStart", ":\"/bin/true\" " + UnitEscaping.execArgument(argument))
            let value = try UnitFile(parsing: file.description).values("Service", "ExecStart")[0]
            #expect(try SystemdSyntax.command(value) == [Array("/bin/true".utf8), argument])
        }
    }

    @Test func aCommandLineComesBackOrIsRefusedByName() throws {
        var random = SeededGenerator(seed: 4)
        var taken = 0
        for _ in 0..<5_000 {
            let program = "/" + random.text(maximum: 5)
            let arguments = (0..<3).map { _ in random.text(maximum: 6) }
            do {
                let line = try UnitEscaping.execLine(program, arguments)
                #expect(try SystemdSyntax.command(line) == ([program] + arguments).map { Array($0.utf8) })
                taken += 1
            } catch let error as RktError {
                #expect(error.code == .invalidArgument)
                let isBad =
                    program.utf8.last == UInt8(ascii: "/") || (program + arguments.joined()).utf8.contains(0)
                    || program.utf8.contains { $0 < 32 || $0 == 127 || "\"'\\".utf8.contains($0) }
                #expect(isBad, "\(program.debugDescription) \(arguments)")
            }
        }
        #expect(taken > 500)
    }

    @Test(arguments: ["", "true", "./true", "/bin/", "/", "/a\"b", "/a'b", "/a\\b", "/a\nb", "/a\u{7F}"])
    func aProgramThatSystemdRefusesIsRefused(program: String) {
        let error = #expect(throws: RktError.self) { try UnitEscaping.execLine(program, []) }
        #expect(error?.code == .invalidArgument)
    }

    @Test func aJournalFieldComesBackByteForByte() throws {
        var random = SeededGenerator(seed: 6)
        for _ in 0..<2_000 {
            let value = random.bytes(maximum: 12, from: Array(1...255))
            #expect(
                try SystemdSyntax.words(try UnitEscaping.logField("RKT_APP", value)) == [Array("RKT_APP=".utf8) + value]
            )
        }
    }

    @Test(arguments: ["", "_A", "1A", "a", "A=", "A B", "É", String(repeating: "A", count: 65)])
    func aFieldNoJournalHasIsRefused(name: String) {
        let error = #expect(throws: RktError.self) { try UnitEscaping.logField(name, []) }
        #expect(error?.code == .invalidArgument)
        #expect(throws: RktError.self) { try UnitEscaping.logField("A", [0]) }
    }

    @Test func textForPeopleCanAlwaysStandInAUnit() throws {
        var random = SeededGenerator(seed: 8)
        for _ in 0..<5_000 {
            let text = random.text(maximum: 8)
            var file = UnitFile()
            try file.add("Unit", "Description", UnitEscaping.display(text))
            #expect(try UnitFile(parsing: file.description) == file)
            _ = try SystemdSyntax.plain(file.values("Unit", "Description")[0])
        }
        #expect(UnitEscaping.display(" 100% \u{1B}[31m\n ") == "100%% \u{FFFD}[31m\u{FFFD}")
    }
}
