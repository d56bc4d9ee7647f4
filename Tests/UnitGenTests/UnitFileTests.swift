import Diagnostics
import Testing
import UnitGen

@Suite struct UnitFileTests {
    @Test func sectionsAndAssignmentsKeepTheirOrder() throws {
        var file = UnitFile()
        try file.add("Unit", "Description", "an app")
        try file.add("Service", "ExecStart", ":\"/bin/true\"")
        try file.add("Unit", "After", "a.service")
        try file.add("Service", "ExecStart", ":\"/bin/false\"")
        #expect(
            file.description == """
                [Unit]
                Description=an app
                After=a.service

                [Service]
                ExecStart=:"/bin/true"
                ExecStart=:"/bin/false"

                """
        )
        #expect(file.values("Service", "ExecStart") == [":\"/bin/true\"", ":\"/bin/false\""])
        #expect(file.values("Service", "Restart") == [])
    }

    @Test(arguments: [
        ("[A]\nb=c\n", "c"),
        ("[A]\n  b \t=\t c d \t\n", "c d"),
        ("\u{FEFF}[A]\nb=c", "c"),
        ("[A]\r\nb=c\r\n", "c"),
        ("[A]\rb=c\r", "c"),
        ("# x\n[A]\n; y\n\n   # z\nb=c\n", "c"),
        ("[A]\nb=c\\\n  d\n", "c   d"),
        ("[A]\nb=c\\\n# in between\\\n; too\n\td\n", "c \td"),
        ("[A]\nb=c\\\\\n", "c\\\\"),
        ("[A]\nb=c\\\\\\\nd\n", "c\\\\ d"),
        ("[A]\nb=c\\\n", "c"),
        ("[A]\nb=c\\", "c"),
        ("[A]\nb=c\\\n\n", "c"),
        ("[A]\nb=c\\ \n", "c\\"),
        ("[A]\nb=\n", ""),
        ("[A]\nb==c=\n", "=c="),
        ("[A]\nb=\"x\\x20y\" 'z'\n", "\"x\\x20y\" 'z'"),
        ("[A]\nb=c # no comment\n", "c # no comment"),
        ("[A]\nb=\u{301}\u{1F600}\n", "\u{301}\u{1F600}"),
    ])
    func syntaxIsReadAsSystemdReadsIt(text: String, value: String) throws {
        let values = try UnitFile(parsing: text).values("A", "b")
        #expect(values.count == 1)
        #expect(values.first.map { Array($0.utf8) } == Array(value.utf8))
    }

    @Test func aSectionThatComesTwiceIsOne() throws {
        let file = try UnitFile(parsing: "[A]\nb=1\n[B]\nb=2\n[A]\nb=3\n")
        #expect(file.sections.map(\.name) == ["A", "B"])
        #expect(file.values("A", "b") == ["1", "3"])
    }

    @Test(arguments: [
        ("b=c", "line 1 of the unit file is in no section: \"b=c\""),
        ("[A]\n\n# x\nb", "line 4 of the unit file is no assignment: \"b\""),
        ("[A]\nb\\\nc\\\nd\ne=f", "line 2 of the unit file is no assignment: \"b c d\""),
        ("[A", "line 1 of the unit file is no section: \"[A\""),
        ("[]", "line 1 of the unit file is no section: \"[]\""),
        ("[A] x", "line 1 of the unit file is no section: \"[A] x\""),
        ("[A]\n=c", "line 2 of the unit file has no valid key: \"=c\""),
        ("[A]\nb c=d", "line 2 of the unit file has no valid key: \"b c=d\""),
        ("[A]\nb=" + SeededGenerator.noncharacters[0], "line 2 of the unit file is not UTF-8 text"),
    ])
    func whatSystemdWouldPassOverIsRefusedByLine(text: String, message: String) {
        let error = #expect(throws: RktError.self) { try UnitFile(parsing: text) }
        #expect(error?.code == .invalidData)
        #expect(error?.message == message)
    }

    @Test func bytesThatAreNoTextAreRefused() {
        let error = #expect(throws: RktError.self) { try UnitFile(parsing: Array("[A]\nb=".utf8) + [0xFF]) }
        #expect(error?.code == .invalidData)
    }

    @Test(arguments: [UnitFile.lineLimit - 1, UnitFile.lineLimit])
    func aLineHasALimit(length: Int) throws {
        let line = "b=" + String(repeating: "x", count: length - 2)
        let continued = "b=\\\n" + String(repeating: "x\\\n", count: 3) + String(repeating: "y", count: length)
        if length < UnitFile.lineLimit {
            #expect(try UnitFile(parsing: "[A]\n\(line)\n").values("A", "b").first?.utf8.count == length - 2)
        } else {
            let error = #expect(throws: RktError.self) { try UnitFile(parsing: "[A]\n\(line)\n") }
            #expect(error?.code == .limitExceeded)
        }
        let error = #expect(throws: RktError.self) { try UnitFile(parsing: "[A]\n\(continued)\n") }
        #expect(error?.code == .limitExceeded)
    }

    @Test func aFileHasALimit() {
        let bytes = [UInt8](repeating: 10, count: UnitFile.sizeLimit + 1)
        let error = #expect(throws: RktError.self) { try UnitFile(parsing: bytes) }
        #expect(error?.code == .limitExceeded)
    }

    @Test(arguments: [
        "a\nb", "a\rb", "a\0b", " a", "a ", "\ta", "a\t", "\r\n",
        SeededGenerator.noncharacters[0], "a" + SeededGenerator.noncharacters[1],
    ])
    func aValueThatWouldNotComeBackIsNotTaken(value: String) {
        var file = UnitFile()
        let error = #expect(throws: RktError.self) { try file.add("A", "b", value) }
        #expect(error?.code == .invalidArgument)
        #expect(file == UnitFile())
    }

    @Test(arguments: [("", "b"), ("A]\n[B", "b"), ("A", ""), ("A", "b=c"), ("A", "#b"), ("A", "b\nc"), ("A", "[b]")])
    func aNameThatWouldNotComeBackIsNotTaken(section: String, key: String) {
        var file = UnitFile()
        #expect(throws: RktError.self) { try file.add(section, key, "c") }
        #expect(file == UnitFile())
    }

    @Test func aBackslashAtTheEndDoesNotTakeTheNextLine() throws {
        var file = UnitFile()
        try file.add("A", "b", "c\\")
        try file.add("A", "d", "e")
        #expect(try UnitFile(parsing: file.description) == file)
    }

    @Test func whatWasTakenComesBack() throws {
        var random = SeededGenerator(seed: 1)
        var taken = 0
        for _ in 0..<5_000 {
            var file = UnitFile()
            for _ in 0..<Int.random(in: 0...6, using: &random) {
                let section = random.text(maximum: 4)
                let key = random.text(maximum: 4)
                if (try? file.add(section, key, random.text(maximum: 12))) != nil { taken += 1 }
            }
            #expect(try UnitFile(parsing: file.description) == file)
        }
        // Otherwise the round trip was that of empty files.
        #expect(taken > 500)
    }

    @Test func whatIsReadCanBeWrittenAndReadAgain() throws {
        var random = SeededGenerator(seed: 2)
        var read = 0
        for _ in 0..<20_000 {
            let bytes =
                Array("[A]\n".utf8) + random.bytes(maximum: 24, from: Array("abbb====[]#;\\\\\" \t\n\n\r\0x%é".utf8))
            guard let file = try? UnitFile(parsing: bytes) else { continue }
            read += file.sections.first?.assignments.isEmpty == false ? 1 : 0
            #expect(try UnitFile(parsing: file.description) == file, "\(bytes)")
        }
        #expect(read > 500)
    }
}
