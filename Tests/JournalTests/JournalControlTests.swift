internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Synchronization
internal import Testing
@testable internal import Journal

@Suite struct JournalControlTests {
    private let scratch: Scratch
    private let namespace = "rkt-7f3c1a52-0000-4000-8000-000000000001"

    init() throws {
        scratch = try Scratch()
    }

    /// Makes the namespace's runtime directory, as its journald would.
    private func runtime() throws -> Directory {
        try Directory.ensure(path: "\(scratch.path)/journal.\(namespace)")
    }

    private func synchronize(
        _ answers: [FakeVarlink.Answer],
        timeout: Duration = .seconds(600)
    ) async throws
        -> (result: Result<Bool, any Error>, calls: [String])
    {
        let path = try runtime().path(of: "io.systemd.journal")
        let service = try FakeVarlink(path, answers)
        var result: Result<Bool, any Error>
        do {
            let answered = try await JournalControl.synchronize(
                namespace: namespace,
                deadline: .now + timeout,
                runtimeDirectory: scratch.path
            )
            result = .success(answered)
        } catch {
            result = .failure(error)
        }
        return (result, try await service.calls())
    }

    private static let call = #"{"method":"io.systemd.Journal.Synchronize","parameters":"#

    @Test(.timeLimit(.minutes(10)))
    func `asks a journald that knows how not to wait for the disk`() async throws {
        let (result, calls) = try await synchronize([.send(#"{"parameters":{}}"#)])
        #expect(try result.get())
        #expect(calls == [Self.call + #"{"offline":false}}"#])
    }

    @Test(.timeLimit(.minutes(10)))
    func `asks an older journald again without parameters`() async throws {
        let refusal = #"{"error":"org.varlink.service.InvalidParameter","parameters":{"parameter":"offline"}}"#
        let (result, calls) = try await synchronize([.send(refusal), .send("{}")])
        #expect(try result.get())
        #expect(calls == [Self.call + #"{"offline":false}}"#, Self.call + "{}}"])
    }

    @Test(.timeLimit(.minutes(10)))
    func `puts together an answer that comes in pieces`() async throws {
        let (result, _) = try await synchronize([.pieces([#"{"para"#, #"meters""#, ":{}}"])])
        #expect(try result.get())
    }

    @Test(
        .timeLimit(.minutes(10)),
        arguments: [
            (FakeVarlink.Answer.send(#"{"error":"io.systemd.Broken"}"#), RktError.Code.failed),
            (.send("not JSON"), .invalidData),
            (.send("[]"), .invalidData),
            (.send(#"{"error":5}"#), .invalidData),
            (.hangUp, .unavailable),
            (.pieces([String(repeating: " ", count: 70_000)]), .limitExceeded),
        ]
    )
    func `says why it failed`(answer: FakeVarlink.Answer, code: RktError.Code) async throws {
        let (result, _) = try await synchronize([answer])
        let error = #expect(throws: RktError.self) { try result.get() }
        #expect(error?.code == code)
        #expect(error?.description.contains("io.systemd.journal") == true)
    }

    @Test(.timeLimit(.minutes(10)))
    func `gives up at the deadline`() async throws {
        let (result, _) = try await synchronize([.silence], timeout: .milliseconds(50))
        let error = #expect(throws: RktError.self) { try result.get() }
        #expect(error?.code == .timeout)
    }

    @Test func `has nothing to wait for without a journald`() async throws {
        for prepare in [{}, { try runtime().write("io.systemd.journal", "") }] {
            try prepare()
            let answered = try await JournalControl.synchronize(
                namespace: namespace,
                deadline: .now + .seconds(600),
                runtimeDirectory: scratch.path
            )
            #expect(!answered)
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `waits until the last stream has ended`() async throws {
        let streams = try runtime().ensureDirectory("streams")
        for name in ["8:100", "8:101"] { try streams.write(name, "# This is private data. Do not parse\n") }
        let removed = Mutex(0)
        let wait = Task {
            let ended = try await JournalControl.waitForStreamsToEnd(
                namespace: namespace,
                deadline: .now + .seconds(600),
                runtimeDirectory: scratch.path
            )
            return (ended, removed.withLock { $0 })
        }
        for name in ["8:101", "8:100"] {
            await Task.yield()
            removed.withLock { $0 += 1 }
            try streams.remove(name)
        }
        let (ended, count) = try await wait.value
        #expect(ended)
        #expect(count == 2)
    }

    @Test func `gives up on streams at the deadline`() async throws {
        try runtime().ensureDirectory("streams").write("8:100", "")
        let ended = try await JournalControl.waitForStreamsToEnd(
            namespace: namespace,
            deadline: .now,
            runtimeDirectory: scratch.path
        )
        #expect(!ended)
    }

    @Test(.timeLimit(.minutes(10)))
    func `stops waiting for streams when cancelled`() async throws {
        try runtime().ensureDirectory("streams").write("8:100", "")
        let wait = Task {
            try await JournalControl.waitForStreamsToEnd(
                namespace: namespace,
                deadline: .now + .seconds(600),
                runtimeDirectory: scratch.path
            )
        }
        wait.cancel()
        await #expect(throws: CancellationError.self) { try await wait.value }
    }

    @Test func `takes a namespace without streams as ended`() async throws {
        let prepare: [() throws -> Void] = [
            {}, { _ = try runtime() }, { _ = try runtime().ensureDirectory("streams") },
            { try runtime().ensureDirectory("streams").write(".#8:100abcdef", "") },
        ]
        for step in prepare {
            try step()
            let ended = try await JournalControl.waitForStreamsToEnd(
                namespace: namespace,
                deadline: .now,
                runtimeDirectory: scratch.path
            )
            #expect(ended)
        }
    }

    private func drain(_ answers: [FakeVarlink.Answer]?, timeout: Duration = .seconds(600)) async throws -> Bool {
        let service = try answers.map { try FakeVarlink(try runtime().path(of: "io.systemd.journal"), $0) }
        let result = try await JournalControl.drain(
            namespace: namespace,
            deadline: .now + timeout,
            runtimeDirectory: scratch.path
        )
        _ = try await service?.calls()
        return result
    }

    @Test(.timeLimit(.minutes(10)), arguments: [FakeVarlink.Answer.send("{}"), .hangUp])
    func `has drained a journald that answered or ended`(answer: FakeVarlink.Answer) async throws {
        #expect(try await drain([answer]))
    }

    @Test(.timeLimit(.minutes(10)))
    func `has not drained what does not answer, or has streams left`() async throws {
        #expect(try await !drain([.silence], timeout: .milliseconds(50)))
        try runtime().remove("io.systemd.journal")
        try runtime().ensureDirectory("streams").write("8:100", "")
        #expect(try await !drain([.send("{}")], timeout: .milliseconds(50)))
    }

    @Test(.timeLimit(.minutes(10)))
    func `does not wait for streams that nobody reads any more`() async throws {
        #expect(try await drain(nil))
        try runtime().ensureDirectory("streams").write("8:100", "")
        #expect(try await !drain(nil, timeout: .seconds(3600)))
    }

    @Test func `finds the directories of a namespace`() throws {
        let machine = "0123456789abcdef0123456789abcdef"
        let roots = ["\(scratch.path)/var", "\(scratch.path)/run"]
        func directories() throws -> [String] {
            try JournalControl.journalDirectories(namespace: namespace, machineID: machine, roots: roots)
        }
        #expect(try directories() == [])
        _ = try Directory.ensure(path: "\(roots[1])/\(machine).\(namespace)")
        #expect(try directories() == ["\(roots[1])/\(machine).\(namespace)"])
        _ = try Directory.ensure(path: "\(roots[0])/\(machine).\(namespace)")
        #expect(try directories() == roots.map { "\($0)/\(machine).\(namespace)" })
    }

    @Test(arguments: ["", "xyz", "0123456789ABCDEF0123456789ABCDEG", "../../../../etc/passwd0123456789"])
    func `refuses what is no machine id`(id: String) throws {
        let error = #expect(throws: RktError.self) {
            try JournalControl.journalDirectories(namespace: namespace, machineID: id)
        }
        #expect(error?.code == .invalidArgument)
    }
}
