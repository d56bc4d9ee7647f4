internal import Diagnostics
internal import LinuxOS
internal import Testing
@testable internal import Journal

@Suite(.enabled(if: JournalWriter.isInstalled, "systemd-journal-remote writes the journals"))
struct FollowTests {
    @Test(.timeLimit(.minutes(10)))
    func `follows what is written while it reads`() async throws {
        let scratch = try Scratch()
        let writer = try JournalWriter(file: "\(scratch.path)/live.journal")
        let reader = try JournalReader.open(directories: [scratch.path])
        writer.write("line 0", at: 1_700_000_000_000_000)
        var seen: [String] = []
        for try await entry in reader.following() {
            seen.append(String(decoding: entry.message, as: UTF8.self))
            if seen.count == 200 { break }
            // The next line exists only once this one was read: each must wake the reader.
            writer.write("line \(seen.count)", at: 1_700_000_000_000_000 + UInt64(seen.count))
        }
        #expect(seen == (0..<200).map { "line \($0)" })
    }

    @Test(.timeLimit(.minutes(10)))
    func `ends when the reading task is cancelled`() async throws {
        let scratch = try Scratch()
        try scratch.unpackJournal()
        let reader = try JournalReader.open(directories: [scratch.path])
        let (atEnd, end) = AsyncStream<Void>.makeStream()
        let task = Task {
            // In any case: a reader that fails must not be waited for.
            defer { end.finish() }
            var count = 0
            for try await _ in reader.following() {
                count += 1
                if count == 7 { end.finish() }
            }
            return count
        }
        for await _ in atEnd {}
        task.cancel()
        #expect(try await task.value == 7)
    }

    @Test(.timeLimit(.minutes(10)))
    func `says when nothing came in time`() async throws {
        let scratch = try Scratch()
        try scratch.unpackJournal()
        let reader = try JournalReader.open(directories: [scratch.path])
        while try reader.next() != nil {}
        #expect(try await reader.wait(timeout: .zero) == false)
    }
}

extension JournalReader {
    /// The entries, and those that are written while they are read, until the task that reads is cancelled.
    fileprivate func following() -> AsyncThrowingStream<JournalEntry, any Error> {
        AsyncThrowingStream { [self] in
            // Before the first read: what comes after it must wake us.
            try watch()
            while true {
                if let entry = try next() { return entry }
                do {
                    try await wait()
                } catch is CancellationError {
                    return nil
                }
            }
        }
    }
}
