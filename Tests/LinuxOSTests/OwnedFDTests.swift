import Diagnostics
import Glibc
import LinuxOS
import TestSupport
import Testing

@Suite struct OwnedFDTests {
    private let directory: Directory
    private let temporary: TemporaryDirectory

    init() throws {
        temporary = try TemporaryDirectory()
        directory = try temporary.open()
        try directory.write("file", "content")
    }

    private func flags(_ file: borrowing OwnedFD) -> CInt { fcntl(file.rawValue, F_GETFD) }

    /// Two ends: the other end tells whether one is closed, whatever else gets its number.
    private func pair() throws -> (read: CInt, write: CInt) {
        var ends: [CInt] = [0, 0]
        let kind = CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        try system("making a pair of sockets") { socketpair(AF_UNIX, kind, 0, &ends) }
        return (ends[0], ends[1])
    }

    @Test func theDescriptorIsClosedWithItsOwner() throws {
        let ends = try pair()
        let reader = OwnedFD(taking: ends.read)
        let writer = OwnedFD(taking: ends.write)
        _ = consume writer
        // It ends only when nobody can write any more.
        #expect(try reader.readAll(limit: 10, name: "socket").isEmpty)
    }

    @Test func whatIsGivenAwayStaysOpen() throws {
        let released = try directory.open("file").release()
        let file = OwnedFD(taking: released)
        #expect(try file.readAll(limit: 10, name: "file") == Array("content".utf8))
    }

    @Test func aDuplicateIsTheSameOpenFileAndOutlivesTheOther() throws {
        let first = try directory.open("file")
        let second = try first.duplicate()
        #expect(first.rawValue != second.rawValue)
        #expect(second.rawValue > 2)
        #expect(try first.readAll(limit: 10, name: "file").count == 7)
        // One place to read at for both.
        #expect(try second.readAll(limit: 10, name: "file").isEmpty)
        _ = consume first
        #expect(try FileStatus(of: second, name: "file").size == 7)
    }

    @Test func noProgramInheritsADescriptorUnlessAsked() throws {
        let file = try directory.open("file")
        #expect(flags(file) & FD_CLOEXEC != 0)
        #expect(flags(directory.descriptor) & FD_CLOEXEC != 0)
        #expect(flags(try file.duplicate()) & FD_CLOEXEC != 0)
        #expect(flags(try directory.open("new", flags: O_WRONLY | O_CREAT, mode: 0o600)) & FD_CLOEXEC != 0)
        try file.setInherited(true)
        #expect(flags(file) & FD_CLOEXEC == 0)
        try file.setInherited(false)
        #expect(flags(file) & FD_CLOEXEC != 0)
    }

    @Test(arguments: [0, 1, 16_383, 16_384, 16_385, 300_000])
    func allIsReadUpToTheLimit(size: Int) throws {
        try directory.write("large", [UInt8](repeating: 7, count: size))
        #expect(try directory.open("large").readAll(limit: size, name: "large").count == size)
        guard size > 0 else { return }
        let error = try #require(throws: RktError.self) {
            try directory.open("large").readAll(limit: size - 1, name: "large")
        }
        #expect(error.code == .limitExceeded)
        #expect(error.message == "large is larger than \(size - 1) bytes")
    }

    @Test func allIsWrittenThroughANarrowWay() async throws {
        let ends = try pair()
        let bytes = [UInt8](repeating: 9, count: 1 << 20)
        async let written: Void = OwnThread.run { _ in try OwnedFD(taking: ends.write).writeAll(bytes, name: "socket") }
        let reader = OwnedFD(taking: ends.read)
        let read = try await OwnThread.run { [raw = reader.release()] _ in
            try OwnedFD(taking: raw).readAll(limit: 2 << 20, name: "socket")
        }
        try await written
        #expect(read == bytes)
    }

    @Test func whatCannotBeWrittenIsAnError() throws {
        let full = try Directory(path: "/dev").open("full", flags: O_WRONLY)
        #expect(try #require(throws: RktError.self) { try full.writeAll("x", name: "full") }.code == .noSpace)
        let file = try directory.open("file")
        let error = try #require(throws: RktError.self) { try file.writeAll("x", name: "the file") }
        #expect(error.errno == EBADF)
        #expect(error.message == "writing the file")
    }
}
