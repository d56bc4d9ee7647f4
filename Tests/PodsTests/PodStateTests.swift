import Diagnostics
import LinuxOS
import Manifests
@testable import Pods
import Testing

@Suite(.timeLimit(.minutes(10))) struct PodStateTests {
    private let temporary: TemporaryData

    init() throws {
        temporary = try TemporaryData()
    }

    @Test(
        arguments: [
            (.embryo, .embryo, .embryo), (.prepare, .abortedPrepare, .preparing), (.prepared, .prepared, .prepared),
            (.run, .exited, .running), (.exitedGarbage, .exitedGarbage, .exitedDeleting),
            (.garbage, .garbage, .deleting),
        ] as [(PodPhase, PodState, PodState)]
    )
    func aPodsStateIsItsPlaceAndItsLock(phase: PodPhase, free: PodState, locked: PodState) async throws {
        let pod = try temporary.makePod(try uuid(), in: phase)
        #expect(try pod.state() == free)
        do {
            let lock = try pod.lock()
            defer { withExtendedLifetime(lock.rawValue) {} }
            #expect(try pod.state() == locked)
            // Looking does not take the lock, however often.
            #expect(try pod.state() == locked)
        }
        // A child that another test forked meanwhile has the lock too, until it becomes another program or ends.
        try await pod.waitUntilUnlocked()
        #expect(try pod.state() == free)
    }

    @Test func everyPhaseIsADirectoryOfTheReference() {
        let names = ["embryo", "prepare", "prepared", "run", "exited-garbage", "garbage"]
        #expect(PodPhase.allCases.map(\.rawValue) == names)
        #expect(Set(PodState.allCases.map(\.rawValue)).count == PodState.allCases.count)
    }

    @Test func theLockIsHeldOnceAndLastsAsLongAsItsLastDescriptor() async throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared)
        let first = try pod.lock()
        let copy = try first.duplicate()
        _ = consume first
        let error = try failure { _ = try pod.lock().rawValue }
        #expect(error.code == .busy)
        #expect(error.message == "pod \"\(pod.uuid)\" is in use")
        #expect(try pod.isLocked())
        _ = consume copy
        try await pod.waitUntilUnlocked()
        #expect(try !pod.isLocked())
    }

    @Test func waitingForTheLockEndsWithItsHolder() async throws {
        let pod = try temporary.makePod(try uuid(), in: .run)
        let lock = try pod.lock()
        async let free: Void = pod.waitUntilUnlocked()
        _ = consume lock
        try await free
        #expect(try pod.state() == .exited)
    }

    @Test func aPodKeepsItsDirectoryAndItsLockWhenItMoves() async throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: ["overview": "a\tb\tc\n"])
        let lock = try pod.lock()
        let moved = try pod.move(to: .run, in: temporary.data, durable: true)
        #expect(try moved.state() == .running)
        #expect(try moved.overview() == pod.overview())
        #expect(try temporary.everything() == ["run/\(pod.uuid)"])
        #expect(moved.directory.path == "\(temporary.data.path)/pods/run/\(pod.uuid)")
        _ = consume lock
        try await moved.waitUntilUnlocked()
        #expect(try moved.state() == .exited)
    }

    @Test func aPodDoesNotReplaceAnother() throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared)
        _ = try temporary.makePod(try uuid(), in: .run, files: ["pid": "1\n"])
        #expect(try failure { try pod.move(to: .run, in: temporary.data, durable: false) }.code == .alreadyExists)
        #expect(try temporary.everything() == ["prepared/\(pod.uuid)", "run/\(pod.uuid)"])
    }

    @Test func aPodThatIsGoneCannotMove() throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared)
        try #require(try temporary.data.phase(.prepared)).removeTree(pod.uuid.description)
        #expect(try failure { try pod.move(to: .run, in: temporary.data, durable: false) }.code == .notFound)
    }
}
