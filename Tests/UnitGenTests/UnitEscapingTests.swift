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

    @Test func aVariableComesBackOrIsRefusedByName() throws {
        var random = SeededGenerator(seed: 5)
        var taken = 0
        for index in 0..<5_000 {
            let value = index.isMultiple(of: 2) ? random.bytes(maximum: 6) : Array(random.text(maximum: 12).utf8)
            do {
                let words = try SystemdSyntax.words(try UnitEscaping.environmentAssignment("A_1", value))
                #expect(words == [Array("A_1=".utf8) + value])
                taken += 1
            } catch let error as RktError {
                #expect(error.message.contains("variable A_1"))
                let strange = SeededGenerator.noncharacters.flatMap { Array($0.unicodeScalars) }
                let text = String(validating: value, as: UTF8.self)
                #expect(text?.unicodeScalars.contains { $0 == "\0" || strange.contains($0) } != false)
            }
        }
        #expect(taken > 500)
    }

    @Test(arguments: ["", "1A", "A=B", "A B", "A-B", "é", "A\0", "A.B"])
    func aVariableSystemdDoesNotTakeIsRefused(name: String) {
        #expect(throws: RktError.self) { try UnitEscaping.environmentAssignment(name, []) }
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

    @Test func plainTextComesBackOrIsRefusedByName() throws {
        var random = SeededGenerator(seed: 7)
        var taken = 0
        for _ in 0..<5_000 {
            let text = random.text(maximum: 8)
            do {
                var file = UnitFile()
                try file.add("Unit", "Description", try UnitEscaping.plain(text, field: "the name"))
                let value = try UnitFile(parsing: file.description).values("Unit", "Description")[0]
                #expect(try SystemdSyntax.plain(value) == text)
                taken += 1
            } catch let error as RktError {
                #expect(error.message.hasPrefix("the name "))
            }
        }
        #expect(taken > 500)
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

    @Test(arguments: [
        ("foo", "foo"), (".a.b", "\\x2ea.b"), ("a/b", "a-b"), ("/a//b/./c/", "-a--b-.-c-"), ("a-b@c", "a\\x2db\\x40c"),
        ("é", "\\xc3\\xa9"), ("a b%", "a\\x20b\\x25"), ("", ""), ("a:b_c", "a:b_c"),
    ])
    func aNameIsEscapedAsSystemdEscapeDoes(text: String, escaped: String) throws {
        #expect(try UnitEscaping.nameComponent(Array(text.utf8)) == escaped)
        #expect(try UnitEscaping.unescapedName(escaped) == Array(text.utf8))
    }

    @Test(arguments: [
        ("/", "-"), ("//", "-"), ("/./", "-"), ("/a//b/./c/", "a-b-c"), ("/.a", "\\x2ea"), ("/a/.b", "a-.b"),
        ("/a-b", "a\\x2db"),
    ])
    func aPathIsEscapedAsSystemdEscapeDoes(path: String, escaped: String) throws {
        #expect(try UnitEscaping.pathComponent(Array(path.utf8)) == escaped)
    }

    @Test(arguments: ["", "a", "a/b", "/..", "/a/../b", "/a\0"])
    func aPathThatHasNoEscapedFormIsRefused(path: String) {
        let error = #expect(throws: RktError.self) {
            try UnitEscaping.pathComponent(Array(path.utf8), field: "the volume")
        }
        #expect(error?.message.hasPrefix("the volume") == true)
    }

    @Test(arguments: ["\\", "\\x", "\\x4", "\\xZZ", "\\x00", "\\n", "a\\x+1"])
    func aNameThatIsNotEscapedIsRefused(text: String) {
        #expect(throws: RktError.self) { try UnitEscaping.unescapedName(text) }
    }

    @Test func anyNameComesBackByteForByte() throws {
        var random = SeededGenerator(seed: 9)
        for _ in 0..<5_000 {
            let bytes = random.bytes(maximum: 12, from: Array(1...255))
            let escaped = try UnitEscaping.nameComponent(bytes)
            #expect(
                escaped.utf8.allSatisfy { $0 > 32 && $0 < 127 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "@") }
            )
            #expect(try UnitEscaping.unescapedName(escaped) == bytes)
        }
    }
}
