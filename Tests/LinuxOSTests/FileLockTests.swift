import Diagnostics
import Glibc
import LinuxOS
import TestSupport
import Testing

/// Locks belong to the open file: each `open` here stands for a process of its own.
@Suite(.timeLimit(.minutes(10))) struct FileLockTests {
    private let directory: Directory
    private let temporary: TemporaryDirectory

    init() throws {
        temporary = try TemporaryDirectory()
        directory = try temporary.open()
        try directory.write("lock", "")
    }

    private func open() throws -> OwnedFD { try directory.open("lock", flags: Directory.lockFileFlags, mode: 0o600) }

    private func isFree(_ mode: FileLock.Mode) throws -> Bool {
        let file = try open()
        let isTaken = try FileLock.tryLock(mode, file, name: "lock")
        if isTaken { FileLock.unlock(file) }
        return isTaken
    }

    @Test func anExclusiveLockKeepsAllOthersOut() throws {
        let file = try open()
        #expect(try FileLock.tryLock(.exclusive, file, name: "lock"))
        #expect(try !isFree(.shared))
        #expect(try !isFree(.exclusive))
        // Its holder may take it again.
        #expect(try FileLock.tryLock(.exclusive, file, name: "lock"))
        FileLock.unlock(file)
        #expect(try isFree(.exclusive))
    }

    @Test func aSharedLockKeepsOnlyExclusiveOnesOut() throws {
        let file = try open()
        try FileLock.lock(.shared, file, name: "lock")
        #expect(try isFree(.shared))
        #expect(try !isFree(.exclusive))
    }

    @Test func aDirectoryCanBeLockedToo() throws {
        let file = try directory.open(".", flags: O_RDONLY | O_DIRECTORY)
        #expect(try FileLock.tryLock(.exclusive, file, name: "."))
        let other = try directory.open(".", flags: O_RDONLY | O_DIRECTORY)
        #expect(try !FileLock.tryLock(.shared, other, name: "."))
    }

    @Test func aLockEndsWithItsLastDescriptor() async throws {
        let first = try open()
        try FileLock.lock(.exclusive, first, name: "lock")
        let second = try first.duplicate()
        _ = consume first
        #expect(try !isFree(.shared))
        _ = consume second
        try await waitUntilFree()
    }

    @Test func whoWaitsGetsTheLockWhenItIsGivenBack() async throws {
        let file = try open()
        try FileLock.lock(.exclusive, file, name: "lock")
        async let free: Void = waitUntilFree()
        FileLock.unlock(file)
        try await free
    }

    /// A child that another test forked meanwhile has the descriptors too, until it becomes another program.
    private func waitUntilFree() async throws {
        let raw = try open().release()
        try await OwnThread.run { _ in try FileLock.lock(.exclusive, OwnedFD(taking: raw), name: "lock") }
    }

    // MARK: Marks

    @Test func aMarkIsSeenByOthersOnly() throws {
        let holder = try open()
        let other = try open()
        #expect(try !FileLock.isMarked(other, name: "lock"))
        try FileLock.mark(holder, name: "lock")
        #expect(try FileLock.isMarked(other, name: "lock"))
        #expect(try !FileLock.isMarked(holder, name: "lock"))
    }

    @Test func lookingAtAMarkNeitherNeedsNorHindersTheLock() throws {
        let holder = try open()
        try FileLock.lock(.exclusive, holder, name: "lock")
        let other = try directory.open("lock")
        // The lock alone is no mark, and a mark is no lock.
        #expect(try !FileLock.isMarked(other, name: "lock"))
        try FileLock.mark(holder, name: "lock")
        FileLock.unlock(holder)
        #expect(try FileLock.isMarked(other, name: "lock"))
        #expect(try isFree(.exclusive))
    }

    @Test func severalMayMark() throws {
        let first = try open()
        let second = try open()
        try FileLock.mark(first, name: "lock")
        try FileLock.mark(second, name: "lock")
        #expect(try FileLock.isMarked(first, name: "lock"))
        #expect(try FileLock.isMarked(second, name: "lock"))
    }

    /// Who may not open the file sees it there.
    @Test func aMarkIsInTheKernelsTable() throws {
        #expect(try !FileLock.isMarked(unopened: "lock", in: directory))
        let locked = try open()
        try FileLock.lock(.exclusive, locked, name: "lock")
        #expect(try !FileLock.isMarked(unopened: "lock", in: directory))
        let holder = try open()
        try FileLock.mark(holder, name: "lock")
        #expect(try FileLock.isMarked(unopened: "lock", in: directory))
        try directory.write("other", "")
        #expect(try !FileLock.isMarked(unopened: "other", in: directory))
        #expect(
            #expect(throws: RktError.self) { try FileLock.isMarked(unopened: "x", in: directory) }?.code == .notFound
        )
        withExtendedLifetime((locked.rawValue, holder.rawValue)) {}
    }

    /// POSIX's own locks would end with the first descriptor of the file that the process closes.
    @Test func aMarkOutlivesOtherDescriptorsOfTheSameFile() throws {
        let holder = try open()
        try FileLock.mark(holder, name: "lock")
        _ = try open()
        #expect(try FileLock.isMarked(try open(), name: "lock"))
        withExtendedLifetime(holder.rawValue) {}
    }
}
