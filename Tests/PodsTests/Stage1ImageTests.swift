import Diagnostics
import ImageFixtures
import ImageStore
import LinuxOS
import Manifests
@testable import Pods
import TestSupport
import Testing

/// Stage1s that are images.
@Suite(.enabled(if: isRoot, "unpacking needs root"), .timeLimit(.minutes(10)))
struct Stage1ImageTests {
    private let images: PodImages

    init() throws {
        images = try PodImages()
    }

    private func stage1(_ annotations: KeyValuePairs<String, String>) throws -> Stage1Image {
        let list = annotations.map { #"{"name":"coreos.com/rkt/stage1/\#($0.key)","value":"\#($0.value)"}"# }
        let more = #""annotations":[\#(list.joined(separator: ","))],"#
        return try Stage1Image(try images.aci(ImageFixture.aci(more: more, [.file("rootfs/init", "")])))
    }

    private func request(_ change: (inout PodRequest) -> Void = { _ in }) -> PodRequest {
        var app = PodRequest.App(image: "image")
        app.name = "one"
        var request = PodRequest(apps: [app])
        request.stage1 = .image
        request.runtime = "/bin/true"
        request.durable = false
        change(&request)
        return request
    }

    @Test func entryPointsAreInTheAnnotations() throws {
        let all = try stage1(["run": "/init", "stop": "/a/stop", "gc": "/gc", "interface-version": "6"])
        #expect((all.programs.run, all.programs.stop, all.programs.collect) == ("/init", "/a/stop", "/gc"))
        #expect(all.interfaceVersion == 6)
        let few = try stage1(["run": "/init"])
        #expect((few.programs.stop, few.programs.collect) == (nil, nil))
        #expect(few.interfaceVersion == 1)
    }

    @Test func anImageWithoutThemIsNone() throws {
        let message = "image \"example.com/app:1.0.0\" is no stage1: it is no ACI with the annotation "
        let error = try failure { try stage1(["stop": "/stop"]) }
        #expect(error.message == message + "coreos.com/rkt/stage1/run")
        #expect(try failure { try Stage1Image(try images.image()) }.message.contains("it is no ACI"))
    }

    @Test(arguments: ["init", "", "/", "/../init", "/a/./b", "/a//b", #"/a\nb"#])
    func anEntryPointIsAnAbsolutePath(path: String) throws {
        #expect(try failure { try stage1(["run": path]) }.message.contains("no absolute path of a file"))
        #expect(try failure { try stage1(["run": "/a", "gc": path]) }.message.contains("coreos.com/rkt/stage1/gc"))
    }

    @Test(arguments: ["0", "six", "-1", ""])
    func aVersionIsANumber(version: String) throws {
        #expect(try failure { try stage1(["run": "/a", "interface-version": version]) }.code == .invalidData)
    }

    @Test(
        arguments: [
            (1, "--net=host --local-config=/etc/rkt"), (2, "--net=host --local-config=/etc/rkt --hostname=h"),
            (3, "--net=host --local-config=/etc/rkt --hostname=h --disable-capabilities-restriction --disable-seccomp"),
            (
                6,
                "--net=host --local-config=/etc/rkt --hostname=h --dns-conf-mode=resolv=default,hosts=default "
                    + "--disable-capabilities-restriction --disable-seccomp --ipc=auto"
            ),
        ]
    )
    func argumentsThatAreNewerThanTheInterfaceAreLeftOut(version: Int, arguments: String) throws {
        let stage1 = try stage1(["run": "/init", "interface-version": "\(version)"])
        let request = request {
            $0.network = .host
            $0.hostname = "h"
            $0.insecure = [.capabilities, .seccomp, .image]
        }
        #expect(stage1.arguments(request, hostname: "h").joined(separator: " ") == arguments)
        let ignored = stage1.ignored(request).map { String($0.prefix { $0 != ":" }) }
        let rights = ["--insecure-options=capabilities", "--insecure-options=seccomp"]
        #expect(ignored == (version < 2 ? ["--hostname"] : []) + (version < 3 ? rights : []))
        #expect(stage1.collectionArguments(request) == (version < 5 ? [] : ["--local-config=/etc/rkt"]))
    }

    @Test func aPreparedPodHasWhatItsStage1LooksFor() throws {
        let preparation = PodPreparation(
            data: images.temporary.data,
            installation: try Installation(),
            stages: StageClock(report: nil)
        )
        let stage1 = try stage1(["run": "/init", "gc": "/gc", "interface-version": "2"])
        let request = request {
            $0.stage1Image = stage1
            $0.debug = true
            $0.apps[0].capabilitiesToRetain = ["CAP_KILL"]
        }
        let pod = try preparation.run(request, images: [try images.image()]) { _ in }
        let configuration = try RuntimeConfiguration(of: pod)
        #expect((configuration.stage1, configuration.journal) == (.image, .host))
        #expect(configuration.programs == stage1.programs)
        #expect(
            try pod.directory.readText("stage1/run-arguments") == """
                --debug
                --net=none
                --local-config=/etc/rkt
                --hostname=rkt-\(pod.uuid)

                """
        )
        #expect(try pod.directory.readText("stage1/gc-arguments") == "--debug\n")
        #expect(try pod.directory.readText("stage1/manifest").contains("stage1/run"))
        let manifest = try pod.directory.read("appsinfo/one/manifest")
        #expect(try pod.directory.read("stage1/upper/opt/stage2/one/manifest") == manifest)
        #expect(try AppcImageManifest.parse(manifest, name: "it").app?.exec == ["/bin/sh", "-c", "true"])
        #expect(try pod.directory.directory("stage1/upper/opt/stage2/one/rootfs").names().isEmpty)
        #expect(String(decoding: try pod.manifest(), as: UTF8.self).contains("capabilities-retain-set"))
        // What runs it has units of its own, if any.
        #expect(!pod.directory.contains(HostFiles.fileName))
        #expect(try images.temporary.data.imagesInUse().contains(stage1.programs.imageID))
    }

    @Test func aPodEndsAsItsStage1Says() throws {
        let files = [
            "overview": "one\tname\tid\ntwo\tname\tid\n", "stage1-status/two": "7\n", "status/.one": "\n",
        ]
        let pod = try images.temporary.makePod(uuid("a"), in: .run, files: files)
        #expect((pod.exitStatus(of: "one"), pod.exitStatus(of: "two"), pod.exitStatus()) == (nil, 7, 7))
        #expect(try !pod.areAllEndsKnown())
        try pod.recordEnd(9)
        #expect((pod.exitStatus(of: "one"), pod.exitStatus(of: "two"), pod.exitStatus()) == (9, 7, 9))
        // The first word counts.
        try pod.recordEnd(3)
        #expect(pod.exitStatus() == 9)
    }

    @Test func anAppOfAPodThatEndedWellMayHaveFailed() throws {
        let files = ["overview": "one\tname\tid\n", "stage1-status/one": "7\n", "status/one": "7\n"]
        let pod = try images.temporary.makePod(uuid("b"), in: .run, files: files)
        #expect((pod.exitStatus(of: "one"), pod.exitStatus()) == (7, 0))
    }

    @Test func onlyTheDirectoryOfTheInstallationIsTrusted() throws {
        let place = try Directory.ensure(path: images.temporary.directory.path(of: "trusted"))
        let other = try Directory.ensure(path: images.temporary.directory.path(of: "trusted-too"))
        try place.writeInPlace("a.aci", "")
        try other.writeInPlace("b.aci", "")
        try place.makeLink("c.aci", to: other.path(of: "b.aci"))
        #expect(Installation.file(place.path(of: "a.aci"), below: place.path) != nil)
        // What is opened is what was looked at: the link may lead elsewhere by then.
        try other.makeLink("d.aci", to: place.path(of: "a.aci"))
        #expect(Installation.file(other.path(of: "d.aci"), below: place.path)?.hasSuffix("/trusted/a.aci") == true)
        for path in ["../trusted-too/b.aci", "c.aci", "missing", "."] {
            #expect(Installation.file(place.path(of: path), below: place.path) == nil)
        }
    }
}
