import Diagnostics
import LinuxOS
import Manifests
@testable import Pods
import Synchronization
import Testing

@Suite struct PodLookupTests {
    private let temporary: TemporaryData

    init() throws {
        temporary = try TemporaryData()
        for (start, phase) in [("a", .run), ("ab1", .prepared), ("ab2", .exitedGarbage)] as [(String, PodPhase)] {
            _ = try temporary.makePod(try uuid(start), in: phase)
        }
    }

    @Test(
        arguments: [
            ("ab1", "ab1", .prepared), ("AB2", "ab2", .exitedGarbage), ("ab10", "ab1", .prepared),
            ("a0000000-0000-4000-8000-000000000000", "a", .run), ("A0000000-0000-4000-8000-000000000000", "a", .run),
            ("a0000000-0", "a", .run),
        ] as [(String, String, PodPhase)]
    )
    func theStartOfAUUIDIsEnough(text: String, start: String, phase: PodPhase) throws {
        let pod = try temporary.lookup.matching(text)
        #expect(pod.uuid == (try uuid(start)))
        #expect(pod.phase == phase)
    }

    @Test(arguments: [("a", 3), ("ab", 2), ("AB", 2)])
    func aStartThatSeveralHaveIsAmbiguous(text: String, count: Int) throws {
        let error = try failure { try temporary.lookup.matching(text) }
        #expect(error.code == .invalidArgument)
        #expect(error.description == "unable to resolve UUID: ambiguous uuid, \(count) matches")
    }

    @Test(
        arguments: [
            "c", "ab3", "*", "..", "../run", "/", "a/", " a", "a0000000-0000-4000-8000-0000000000000",
            "a0000000-0000-4000-8000-000000000001",
        ]
    )
    func whatNoPodStartsWithIsNotFound(text: String) throws {
        let error = try failure { try temporary.lookup.matching(text) }
        #expect(error.code == .notFound)
        #expect(error.description == "unable to resolve UUID: no matches found for \"\(text)\"")
    }

    @Test func anEmptyTextIsNoUUID() throws {
        let error = try failure { try temporary.lookup.matching("") }
        #expect(error.code == .invalidArgument)
        #expect(error.description == "unable to resolve UUID: UUID cannot be empty")
    }

    @Test func podsThatComeOrGoCannotBeNamed() throws {
        _ = try temporary.makePod(try uuid("e1"), in: .embryo)
        _ = try temporary.makePod(try uuid("e2"), in: .garbage)
        #expect(try failure { try temporary.lookup.matching("e") }.code == .notFound)
        #expect(try temporary.lookup.exactly(try uuid("e1")) == nil)
        #expect(try temporary.lookup.pods(in: [.embryo, .garbage]).map(\.phase) == [.embryo, .garbage])
    }

    @Test func whatIsNoPodIsPassedOver() throws {
        let run = try temporary.data.ensurePhase(.run)
        try run.makeDirectory("lost+found")
        try run.makeDirectory("A1000000-0000-4000-8000-000000000000")
        try run.writeInPlace(try uuid("f").description, "a file")
        #expect(try temporary.lookup.all().map(\.uuid) == [uuid("a"), uuid("ab1"), uuid("ab2")])
        #expect(try failure { try temporary.lookup.matching("lost") }.code == .notFound)
        #expect(try failure { try temporary.lookup.matching("f") }.code == .notFound)
    }

    @Test func podsAreSortedWhateverTheirPhase() throws {
        _ = try temporary.makePod(try uuid("aa"), in: .prepare)
        #expect(try temporary.lookup.all().map(\.uuid) == [uuid("a"), uuid("aa"), uuid("ab1"), uuid("ab2")])
    }

    // MARK: Pods that move meanwhile

    /// Some pods, and the whole way of each by single steps, on a thread of its own.
    private func whileAllMove(_ count: Int, _ look: (Set<PodUUID>) throws -> Void) async throws {
        let start = try temporary.data.ensurePhase(.prepare)
        let uuids = try (0..<count).map { try uuid("f\(100 + $0)") }
        for uuid in uuids { try start.makeDirectory(uuid.description) }
        let isOver = Mutex(false)
        let data = temporary.data
        let moving = Task.detached {
            defer { isOver.withLock { $0 = true } }
            for phase in [.prepared, .run, .exitedGarbage] as [PodPhase] {
                for uuid in uuids {
                    guard let pod = try PodLookup(data: data).exactly(uuid) else {
                        throw RktError(.notFound, "\(uuid)")
                    }
                    _ = try pod.move(to: phase, in: data, durable: false)
                    await Task.yield()
                }
            }
        }
        while !isOver.withLock({ $0 }) {
            try look(Set(uuids))
            // The threads are few: with each of them in a loop like this, nobody would move.
            await Task.yield()
        }
        try await moving.value
        try look(Set(uuids))
    }

    @Test(.timeLimit(.minutes(10))) func noPodThatMovesIsMissedOrListedTwice() async throws {
        try await whileAllMove(200) { (uuids) throws in
            let found = try temporary.lookup.all().map(\.uuid).filter { uuids.contains($0) }
            #expect(found.count == uuids.count)
            #expect(Set(found) == uuids)
        }
    }

    @Test(.timeLimit(.minutes(10))) func aPodThatMovesIsFoundByItsNameAndIsOne() async throws {
        try await whileAllMove(200) { (uuids) throws in
            for uuid in uuids {
                #expect(try temporary.lookup.exactly(uuid) != nil)
                #expect(try temporary.lookup.matching(String(uuid.description.prefix(4))).uuid == uuid)
            }
        }
    }

    /// Between two looks at a directory, as nothing else can prove it.
    @Test func ofAPodThatIsMetTwiceTheLaterPhaseCounts() throws {
        let twice = try uuid("e")
        for phase in [.run, .prepared] as [PodPhase] { _ = try temporary.makePod(twice, in: phase) }
        #expect(try temporary.lookup.all().filter { $0.uuid == twice }.map(\.phase) == [.run])
        #expect(try temporary.lookup.matching("e").uuid == twice)
    }

    @Test func withoutADataDirectoryThereAreNoPods() throws {
        let lookup = PodLookup(data: DataDirectory(path: "\(temporary.data.path)/nothing"))
        #expect(try lookup.all().isEmpty)
        #expect(try failure { try lookup.matching("a") }.code == .notFound)
    }
}
