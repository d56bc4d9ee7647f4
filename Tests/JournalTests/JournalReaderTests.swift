internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Testing
@testable internal import Journal

@Suite struct JournalReaderTests {
    private let scratch: Scratch
    private let reader: JournalReader
    private static let start: UInt64 = 1_700_000_000_000_000

    init() throws {
        scratch = try Scratch()
        try scratch.unpackJournal()
        reader = try JournalReader.open(directories: [scratch.path])
    }

    private func messages(_ reader: JournalReader) throws -> [String] {
        var result: [String] = []
        while let entry = try reader.next() { result.append(String(decoding: entry.message.prefix(20), as: UTF8.self)) }
        return result
    }

    private static let all = [
        "redis: ready", "bytes \u{fffd}\u{fffd} \u{1b}[2J end", "two\nlines", String(repeating: "x", count: 20),
        "eq=in=value", "", "last",
    ]

    @Test func `reads all entries in order`() throws {
        #expect(try messages(reader) == Self.all)
        #expect(try reader.next() == nil)
    }

    @Test func `reads an entry's fields`() throws {
        let entry = try #require(try reader.next())
        #expect(entry.realtime == Self.start)
        #expect(entry.monotonic == 5_000_000)
        #expect(entry["SYSLOG_IDENTIFIER"] == "redis")
        #expect(entry.pid == 12)
        #expect(entry.app == "redis")
        #expect(entry["_UID"] == "0")
        #expect(entry["RKT_IMAGE"] == nil)
        #expect(entry["MESSAG"] == nil)
        #expect(!entry.isTruncated)
    }

    @Test func `keeps bytes that are not UTF-8`() throws {
        _ = try reader.next()
        let entry = try #require(try reader.next())
        #expect(Array(entry.message) == Array("bytes ".utf8) + [0xff, 0xfe] + Array(" \u{1b}[2J end".utf8))
    }

    @Test func `keeps long messages whole`() throws {
        try reader.addMatch("_LINE_BREAK", "line-max")
        let entry = try #require(try reader.next())
        #expect(entry.message.count == 200_000)
    }

    @Test func `takes numbers that are none as missing`() throws {
        try reader.addMatch("RKT_APP", "worker")
        let entry = try #require(try reader.next())
        #expect(entry.pid == nil)
        #expect(entry["_PID"] == "not a number")
        #expect(try reader.next()?.message.isEmpty == true)
    }

    @Test func `adds up matches of one field and narrows with another`() throws {
        try reader.addMatch("RKT_APP", "redis")
        try reader.addMatch("RKT_APP", "worker")
        try reader.addMatch("PRIORITY", "6")
        #expect(try messages(reader) == [Self.all[0], Self.all[1], Self.all[6]])
    }

    @Test(arguments: ["", "lower", "WITH SPACE", "A=B", String(repeating: "A", count: 65)])
    func `refuses matches on what is no field`(field: String) throws {
        #expect(throws: RktError.self) { try reader.addMatch(field, "x") }
    }

    @Test(arguments: [UInt64(0), 1, 3, 6, 7, 8, 100, UInt64.max])
    func `keeps the last entries when going to the tail`(count: UInt64) throws {
        try reader.seekTail(keeping: count)
        #expect(try messages(reader) == Self.all.suffix(Int(min(count, 7))))
    }

    @Test func `goes on behind a cursor`() throws {
        _ = try reader.next()
        let cursor = try #require(try reader.next()?.cursor)
        try reader.seekHead()
        try reader.seek(behindCursor: cursor)
        #expect(try messages(reader) == Array(Self.all[2...]))
        #expect(throws: RktError.self) { try reader.seek(behindCursor: "no cursor") }
    }

    @Test func `reads several directories and tells which files it cannot read`() throws {
        let other = try Scratch()
        try other.unpackJournal(as: "system.journal")
        try Directory(path: other.path).write("broken.journal", "not a journal")
        try Directory(path: other.path).write("notes.txt", "not a journal either")
        let reader = try JournalReader.open(directories: [scratch.path, other.path])
        #expect(reader.unreadableFiles == ["\(other.path)/broken.journal"])
        // The same entries twice are one.
        #expect(try messages(reader) == Self.all)
    }

    @Test func `refuses a directory that is missing`() throws {
        #expect(throws: RktError.self) { try JournalReader.open(directories: ["\(scratch.path)/missing"]) }
        #expect(throws: RktError.self) {
            try JournalReader.open(directories: [scratch.path, "\(scratch.path)/missing"])
        }
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", String(repeating: "n", count: 224), "new\nline"])
    func `refuses what is no namespace`(name: String) throws {
        let error = #expect(throws: RktError.self) { try JournalReader.open(namespace: name) }
        #expect(error?.code == .invalidArgument)
    }

    @Test func `takes a namespace without a journal as empty`() throws {
        let reader = try JournalReader.open(namespace: "rkt-00000000-0000-4000-8000-00000000abcd")
        #expect(try reader.next() == nil)
    }
}
