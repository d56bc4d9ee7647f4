import Diagnostics
import FoundationEssentials
import Glibc
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
@testable import Pods
import TestSupport
import Testing

@Suite(.enabled(if: isRoot, "unpacking needs root"), .timeLimit(.minutes(10)))
struct PodPreparationTests {
    private let images: PodImages
    private let preparation: PodPreparation

    /// Whether this host has what stage1 nspawn needs.
    private static let hasMachines = ["systemd-nspawn", "dbus-daemon"].allSatisfy { name in
        access("/usr/bin/\(name)", X_OK) == 0
    }

    init() throws {
        images = try PodImages()
        preparation = PodPreparation(
            data: images.temporary.data,
            installation: try Installation(),
            stages: StageClock(report: nil)
        )
    }

    private func request(_ names: [String?]) -> PodRequest {
        var request = PodRequest(
            apps: names.map { name in
                var app = PodRequest.App(image: "image")
                app.name = name
                return app
            }
        )
        request.runtime = "/bin/true"
        request.durable = false
        return request
    }

    /// Expects a preparation to fail and to leave nothing behind.
    private func refusal(_ request: PodRequest, _ images: [PodImage]) throws -> RktError {
        let error = try failure { try preparation.run(request, images: images) { _ in } }
        #expect(try self.images.temporary.everything() == [])
        #expect(try links() == [])
        return error
    }

    /// What is left for the time after the next boot.
    private func links() throws -> [String] {
        try (try? Directory(path: "\(images.temporary.data.links.home)/\(LastingLinks.name)"))?.names() ?? []
    }

    @Test(arguments: [true, false])
    func aPreparedPodHasAllThatItsStartNeeds(durable: Bool) async throws {
        var request = request([nil])
        request.durable = durable
        var announced: [PodUUID] = []
        let image = try images.image()
        let pod = try preparation.run(request, images: [image]) { announced.append($0) }
        #expect(announced == [pod.uuid])
        #expect(try images.temporary.everything() == ["prepared/\(pod.uuid)"])
        #expect(try links() == [pod.uuid.description])
        #expect(try pod.state() == .prepared)
        try await pod.waitUntilUnlocked()
        #expect(try !pod.isLocked())
        #expect(
            try pod.overview() == [
                AppOverview(name: "app", imageName: "example.com/app:1", imageID: image.record.id)
            ]
        )
        let configuration = try RuntimeConfiguration(of: pod)
        #expect(configuration.hostname == "rkt-\(pod.uuid)")
        #expect((configuration.stage1, configuration.network, configuration.journal) == (.units, .none, .namespace))
        let paths = try HostFiles(of: pod).files.map(\.path)
        #expect(
            paths == [
                "systemd/system/rkt-\(pod.uuid.hex).slice", "systemd/system/rkt-\(pod.uuid)-app.service",
                "systemd/journald@rkt-\(pod.uuid).conf.d/10-rkt.conf",
                "systemd/system/systemd-journald@rkt-\(pod.uuid).service.d/10-rkt.conf",
                "systemd/system/systemd-journald-sync@rkt-\(pod.uuid).service.d/10-rkt.conf",
            ]
        )
        #expect(try PodSummary(of: pod).createdAt != nil)
    }

    @Test func aFlyPodHasOneAppAndTheHostsNameAndNetwork() throws {
        var request = request(["one", "two"])
        request.stage1 = .fly
        let image = try images.image()
        let error = try refusal(request, [image, image])
        #expect(error.code == .invalidArgument)
        #expect(error.message == "fly only supports 1 application per Pod for now")
        request.apps.removeLast()
        request.hostname = "other"
        let configuration = try RuntimeConfiguration(of: preparation.run(request, images: [image]) { _ in })
        #expect((configuration.stage1, configuration.network, configuration.hostname) == (.fly, .host, ""))
    }

    @Test(.enabled(if: Self.hasMachines, "systemd-nspawn or dbus-daemon is not installed"))
    func aPodThatIsAMachineHasFilesOfItsOwnAndNoneOnTheHost() throws {
        var request = request(["web"])
        request.stage1 = .nspawn
        request.runtime = "/usr/bin/true"
        request.apps[0].capabilitiesToRetain = ["CAP_CHOWN", "CAP_SYS_ADMIN"]
        let image = try images.image()
        let pod = try preparation.run(request, images: [image]) { _ in }
        #expect(try pod.directory.readText("machine-files").contains(" etc/systemd/system/web.service\n"))
        #expect(!pod.directory.contains("host-files"))
        #expect(try pod.directory.directory("filter").names() == ["config.json"])
        let configuration = try RuntimeConfiguration(of: pod)
        #expect((configuration.stage1, configuration.runtime) == (.nspawn, "/usr/bin/true"))
        #expect(configuration.capabilities == ["CAP_SYS_ADMIN"])
        #expect(configuration.userRange == nil)
        // There is nothing to compile where nothing is filtered.
        request.insecure = .seccomp
        #expect(try !preparation.run(request, images: [image]) { _ in }.directory.contains("filter"))
    }

    @Test(.enabled(if: Self.hasMachines, "systemd-nspawn or dbus-daemon is not installed"))
    func podsWithPrivateUsersHaveDifferentOnes() throws {
        var request = request([nil])
        request.stage1 = .nspawn
        request.runtime = "/usr/bin/true"
        request.privateUsers = true
        let image = try images.image()
        let ranges = try (0..<2).map { _ in
            let pod = try preparation.run(request, images: [image]) { _ in }
            return try #require(try RuntimeConfiguration(of: pod).userRange)
        }
        #expect(ranges[0] != ranges[1])
        // systemd's own range for containers.
        for range in ranges { #expect(range % 65_536 == 0 && (524_288...1_878_982_656).contains(range)) }
    }

    @Test func theHostsJournalIsRefusedForAMachine() throws {
        var request = request([nil])
        request.stage1 = .nspawn
        request.runtime = "/usr/bin/true"
        request.journal = .host
        let error = try refusal(request, [try images.image()])
        #expect(error.code == .invalidArgument)
        #expect(
            error.message
                == "stage1 nspawn does not log to the host's journal: its machine has a journal of its own"
        )
    }

    @Test(arguments: [.units, .fly] as [RuntimeConfiguration.Stage1])
    func privateUsersAreRefusedWithoutAMachine(stage1: RuntimeConfiguration.Stage1) throws {
        var request = request([nil])
        request.stage1 = stage1
        request.privateUsers = true
        let error = try refusal(request, [try images.image()])
        #expect(error.code == .invalidArgument)
        let reason = "its apps are units of the host's systemd (try --stage1-name=nspawn)"
        #expect(error.message == "stage1 \(stage1.rawValue) has no private users: \(reason)")
    }

    @Test(.enabled(if: Self.hasMachines, "systemd-nspawn or dbus-daemon is not installed"))
    func anAppOfAMachineCannotHaveTheNameOfItsUnits() throws {
        var request = request(["dbus"])
        request.stage1 = .nspawn
        request.runtime = "/usr/bin/true"
        let error = try refusal(request, [try images.image()])
        #expect(error.message.hasPrefix("an app cannot be called \"dbus\": "))
    }

    @Test func whatAMachineNeedsOfTheHostIsNamed() throws {
        let stage1 = NspawnStage1(programs: [("/bin/sh", "dash"), ("/no/such/program", "some-package")])
        let error = try failure { try stage1.check(request([nil])) }
        #expect(error.code == .missingDependency)
        #expect(error.message == "stage1 nspawn needs /no/such/program: install the package some-package")
    }

    @Test(.enabled(if: Self.hasMachines, "systemd-nspawn or dbus-daemon is not installed"))
    func aRuntimeThatAMachineDoesNotSeeIsRefused() throws {
        var request = request([nil])
        request.stage1 = .nspawn
        let error = try refusal(request, [try images.image()])
        #expect(error.code == .invalidArgument)
        #expect(error.message == "stage1 nspawn cannot run /bin/true: its machine has only the host's /usr")
    }

    @Test func aBundleHasItsLayersTopmostFirst() throws {
        let upper = ImageFixture.Layer([.directory("./"), .file("upper", "")])
        let image = try images.image(ImageFixture([PodImages.base, upper]))
        let pod = try preparation.run(request(["web"]), images: [image]) { _ in }
        let layers = try pod.directory.readText("apps/web/layers").split(separator: "\n").map(String.init)
        #expect(layers == image.layers.reversed())
        #expect(try Directory(path: layers[0]).contains("upper"))
        for name in ["upper", "work", "rootfs"] {
            #expect(try pod.directory.directory("apps/web/\(name)").names().isEmpty)
        }
        // What is in the bundle is no business of other users.
        #expect(try pod.directory.status(of: ".").mode & 0o007 == 0)
        #expect(try pod.directory.status(of: "apps/web").mode & 0o007 == 0)
    }

    @Test func theManifestTellsWhatWillRun() throws {
        var request = request(["one", "two"])
        request.apps[0].user = "app"
        request.apps[0].annotations = [("example.com/note", "text")]
        request.apps[1].exec = "/bin/ls"
        request.apps[1].readOnlyRootFS = true
        request.apps[1].userLabels = [("color", "blue")]
        let image = try images.image()
        let pod = try preparation.run(request, images: [image, image]) { _ in }
        let manifest = try JSONDecoder().decode(PodManifest.self, from: Data(try pod.manifest()))
        #expect(manifest.apps.map(\.name.description) == ["one", "two"])
        #expect(manifest.apps.map { $0.app?.user } == ["1000", "0"])
        #expect(manifest.apps.map { $0.app?.exec.first } == ["/bin/sh", "/bin/ls"])
        #expect(manifest.apps.map(\.readOnlyRootFS) == [nil, true])
        #expect(manifest.apps[0].annotations == [NameValue(name: "example.com/note", value: "text")])
        #expect(manifest.apps[1].app?.userLabels == ["color": "blue"])
        #expect(try pod.overview().map(\.name) == ["one", "two"])
        #expect(try pod.directory.directory("apps").names() == ["one", "two"])
    }

    @Test func whileItIsFilledAPodIsBeingPreparedForAllToSee() throws {
        var seen: [PodState] = []
        let pod = try preparation.run(request([nil]), images: [try images.image()]) { uuid in
            seen = try images.temporary.lookup.all().filter { $0.uuid == uuid }.map { try $0.state() }
        }
        #expect(seen == [.preparing])
        #expect(try pod.state() == .prepared)
    }

    // MARK: Names

    @Test(
        arguments: [
            ("example.com/My_App:1", "my-app"), ("app:1", "app"), ("localhost:5000/a/b@sha256:00", "b"),
            ("registry:5000/Web.Server:v1", "web-server"),
        ]
    )
    func anAppWithoutANameGetsTheLastPartOfItsImages(image: String, name: String) throws {
        let pod = try preparation.run(request([nil]), images: [try images.image(name: image)]) { _ in }
        #expect(try pod.overview().map(\.name) == [name])
    }

    @Test func anImageThatGivesNoNameAsksForOne() throws {
        let image = try images.image(name: "example.com/---:1")
        let error = try refusal(request([nil]), [image])
        #expect(error.code == .invalidArgument)
        #expect(error.message == "image \"example.com/---:1\" gives no app name: choose one with --name")
        #expect(try preparation.run(request(["web"]), images: [image]) { _ in }.overview().map(\.name) == ["web"])
    }

    @Test(arguments: [["web", "web"], [nil, "app"], [nil, nil]] as [[String?]])
    func twoAppsOfOneNameAreRefused(names: [String?]) throws {
        let image = try images.image()
        let error = try refusal(request(names), [image, image])
        #expect(error.code == .invalidArgument)
        #expect(error.message == "error: multiple apps with name \(names[1] ?? "app")")
    }

    @Test(arguments: ["", "Web", "a/b", "..", "a b", "-a", "a\n"])
    func aNameThatIsNoneIsRefused(name: String) throws {
        let error = try refusal(request([name]), [try images.image()])
        #expect(error.code == .invalidArgument)
        #expect(error.message == "invalid app name \"\(name)\"")
    }

    @Test func aPodWithoutAppsIsRefused() throws {
        #expect(try refusal(request([]), []).code == .invalidArgument)
    }

    // MARK: Failures

    @Test func aFailureHalfwayLeavesNothing() throws {
        let image = try images.image()
        var unknownUser = request(["one", "two"])
        unknownUser.apps[1].user = "nobody-there"
        #expect(try refusal(unknownUser, [image, image]).code == .notFound)
        var relative = request([nil])
        relative.apps[0].workingDirectory = "relative"
        #expect(try refusal(relative, [image]).code == .invalidArgument)
        let empty = try refusal(request([nil]), [try images.image(config: "{}")])
        #expect(empty.description.contains("--exec"))
        var runtime = request([nil])
        runtime.runtime = "rkt-no-such-runtime"
        #expect(try refusal(runtime, [image]).code == .missingDependency)
    }

    @Test func aFailureOfWhoIsToldLeavesNothing() throws {
        let image = try images.image()
        let error = try failure {
            try preparation.run(request([nil]), images: [image]) { _ in throw RktError(.noSpace, "full") }
        }
        #expect(error.message == "full")
        #expect(try images.temporary.everything() == [])
    }

    @Test func aPreparedPodsImagesAreInUse() throws {
        let image = try images.image()
        let data = images.temporary.data
        _ = try preparation.run(request([nil]), images: [image]) { _ in }
        #expect(try data.imagesInUse() == [image.record.id])
        #expect(try data.layersInUse() == Set(image.record.layers.map(\.diffID)))
        // The image may go, what the pod uses of it stays.
        try data.remove(image.record, from: data.store())
        #expect(try data.store().list().isEmpty)
        for layer in image.layers { #expect(try !Directory(path: layer).names().isEmpty) }
    }

    @Test func aPodThatCannotBeFoundAfterABootIsNotPreparedButMayRun() throws {
        try images.temporary.directory.open().writeInPlace("home", "in the way")
        let image = try images.image()
        var request = request([nil])
        var warnings: [String] = []
        let pod = try preparation.run(request, images: [image]) { _ in
        } warn: {
            warnings.append($0)
        }
        #expect(try pod.state() == .prepared)
        #expect(warnings.count == 1)
        #expect(warnings[0].hasPrefix("systemctl can start pod \"\(pod.uuid)\" only until the next boot: "))
        request.durable = true
        let error = try failure { try preparation.run(request, images: [image]) { _ in } }
        #expect(error.message.hasPrefix("leaving word in \(images.temporary.data.links.home)/elsewhere of where pod"))
        #expect(try images.temporary.everything().count == 1)
    }
}
