import Diagnostics
import LinuxOS
import Manifests
@testable import Pods
import Testing

@Suite struct PodDirectoryTests {
    private let temporary: TemporaryData
    private let overview = "one\texample.com/one:1\tsha512-1\ntwo\ttwo\tsha512-2\n"

    init() throws {
        temporary = try TemporaryData()
    }

    @Test func theOverviewTellsTheAppsInTheirOrder() throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: ["overview": overview])
        #expect(
            try pod.overview() == [
                AppOverview(name: "one", imageName: "example.com/one:1", imageID: "sha512-1"),
                AppOverview(name: "two", imageName: "two", imageID: "sha512-2"),
            ]
        )
    }

    @Test(arguments: ["one\n", "one\ttwo\n", "one\ttwo\tthree\tfour\n", "one\ttwo\tthree\n\0\n", " "])
    func aDamagedOverviewIsNamed(content: String) throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: ["overview": content])
        let error = try failure { try pod.overview() }
        #expect(error.code == .invalidData)
        #expect(error.message == "\(pod.directory.path)/overview is damaged")
    }

    @Test func aSummaryOfADamagedPodIsStillTrueOtherwise() throws {
        let files = ["overview": "damaged", "pod-created": "", "pid": "4711\n"]
        let summary = try PodSummary(of: try temporary.makePod(try uuid(), in: .run, files: files))
        #expect(summary.state == .exited)
        #expect(summary.problem?.code == .invalidData)
        #expect(summary.apps.isEmpty)
        #expect(summary.createdAt != nil)
        #expect(summary.startedAt != nil)
        #expect(summary.exitStatus == 0)
        #expect(summary.pid == nil)
    }

    @Test func aPreparedPodsAppsAreCreated() throws {
        let files = ["overview": overview, "pod-created": "", "status/one": "3\n", "pid": "4711\n"]
        let summary = try PodSummary(of: try temporary.makePod(try uuid(), in: .prepared, files: files))
        #expect(summary.apps.map(\.state) == [.created, .created])
        #expect(summary.apps.map(\.exitStatus) == [nil, nil])
        #expect(summary.startedAt == nil)
        #expect(summary.exitStatus == nil)
    }

    @Test func aRunningPodsAppsRunUntilTheyHaveAStatus() throws {
        let files = ["overview": overview, "status/two": "3\n", "pid": "4711\n"]
        let pod = try temporary.makePod(try uuid(), in: .run, files: files)
        let lock = try pod.lock()
        let summary = try PodSummary(of: pod)
        _ = consume lock
        #expect(summary.state == .running)
        #expect(summary.pid == 4711)
        #expect(summary.apps.map(\.state) == [.running, .exited])
        #expect(summary.apps.map(\.exitStatus) == [nil, 3])
        #expect(summary.apps.map { $0.finishedAt == nil } == [true, false])
        #expect(summary.exitStatus == nil)
    }

    /// Whoever can open them can hold them: members of the group `rkt` must not.
    @Test func theLocksAreNobodyElses() throws {
        let pod = try temporary.makePod(try uuid(), in: .run, files: ["overview": overview, "lock": ""])
        let lock = try pod.lock()
        let mark = try pod.makeTemporary()
        try PodGate.make(in: pod.directory)
        for name in ["lock", "temporary", "starting"] {
            #expect(try pod.directory.status(of: name).mode & 0o077 == 0, "\(name)")
        }
        withExtendedLifetime((lock.rawValue, mark.rawValue)) {}
    }

    @Test(arguments: [.run, .exitedGarbage] as [PodPhase])
    func anEndedPodHasItsStatus(phase: PodPhase) throws {
        let files = ["overview": overview, "status/one": "0\n", "status/EXIT": "7\n", "pid": "4711\n"]
        let summary = try PodSummary(of: try temporary.makePod(try uuid(), in: phase, files: files))
        #expect(summary.exitStatus == 7)
        #expect(summary.pid == nil)
        #expect(summary.apps.map(\.state) == [.exited, .exited])
        #expect(summary.apps.map(\.exitStatus) == [0, nil])
    }

    @Test func ofAPodThatIsBeingPreparedNothingIsSaid() throws {
        let summary = try PodSummary(of: try temporary.makePod(try uuid(), in: .prepare, files: ["overview": "half"]))
        #expect(summary.state == .abortedPrepare)
        #expect(summary.apps.isEmpty)
        #expect(summary.problem == nil)
        #expect(summary.createdAt == nil)
    }

    @Test(arguments: ["", "x", "\n", "99999999999"])
    func aStatusThatIsNoneIsNoStatus(content: String) throws {
        let files = ["overview": overview, "status/one": content, "status/EXIT": content, "pid": content]
        let pod = try temporary.makePod(try uuid(), in: .run, files: files)
        #expect(pod.exitStatus(of: "one") == nil)
        #expect(pod.exitStatus() == 0)
        #expect(pod.initProcess() == nil)
    }

    @Test func theRuntimeConfigurationComesBack() throws {
        let configuration = RuntimeConfiguration(hostname: "h", stage1: .fly, network: .host, journal: .host)
        let text = String(decoding: configuration.encoded(), as: UTF8.self)
        #expect(text == "Hostname=h\nStage1=fly\nNetwork=host\nJournal=host\n")
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: [RuntimeConfiguration.fileName: text])
        #expect(try RuntimeConfiguration(of: pod) == configuration)
    }

    @Test func theRuntimeConfigurationOfAMachineComesBack() throws {
        var configuration = RuntimeConfiguration(hostname: "h", stage1: .nspawn, network: .none, journal: .namespace)
        configuration.userRange = 524_288
        configuration.runtime = "/usr/bin/a b=c"
        configuration.capabilities = ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]
        let text = String(decoding: configuration.encoded(), as: UTF8.self)
        #expect(
            text == """
                Hostname=h
                Stage1=nspawn
                Network=none
                Journal=namespace
                UserRange=524288
                Runtime=/usr/bin/a b=c
                Capabilities=CAP_NET_ADMIN,CAP_SYS_ADMIN

                """
        )
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: [RuntimeConfiguration.fileName: text])
        #expect(try RuntimeConfiguration(of: pod) == configuration)
    }

    @Test(arguments: ["", "{}", "Hostname=h\nStage1=rocket\nNetwork=host\nJournal=host\n"])
    func aDamagedRuntimeConfigurationIsNamed(content: String) throws {
        let pod = try temporary.makePod(try uuid(), in: .prepared, files: [RuntimeConfiguration.fileName: content])
        let error = try failure { try RuntimeConfiguration(of: pod) }
        #expect(error.message.contains("\(pod.directory.path)/runtime-config"))
    }
}
