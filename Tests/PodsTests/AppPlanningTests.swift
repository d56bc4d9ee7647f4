import Diagnostics
import ImageFixtures
import Manifests
@testable import Pods
import Testing
import UnitGen

/// What an app will run as, with its environment for looking things up.
struct Planned {
    let plan: AppPlan

    subscript(name: String) -> String? {
        let values = plan.environment.filter { $0.0 == name }.map(\.1)
        return values.count == 1 ? values[0] : nil
    }
}

@Suite(.enabled(if: isRoot, "unpacking needs root"), .timeLimit(.minutes(10)))
struct AppPlanningTests {
    private let images: PodImages

    init() throws {
        images = try PodImages()
    }

    // MARK: Command

    @Test(
        arguments: [
            (nil, [], ["/bin/sh", "-c", "true"]), (nil, ["x", ""], ["/bin/sh", "-c", "true", "x", ""]),
            ("/bin/ls", [], ["/bin/ls"]), ("ls", ["-l"], ["ls", "-l"]),
        ] as [(String?, [String], [String])]
    )
    func execReplacesTheImagesCommandAndArgumentsFollow(
        exec: String?,
        arguments: [String],
        expected: [String]
    ) throws {
        let planned = try images.plan(try images.image()) { app in
            app.exec = exec
            app.arguments = arguments
        }
        #expect(planned.plan.arguments == expected)
    }

    // MARK: Environment

    @Test func theClosestToTheUserWins() throws {
        let planned = try images.plan(try images.image()) { app in
            app.environment = [("A", "app"), ("E", "app"), ("AC_APP_NAME", "forged")]
        } request: { request in
            request.inheritedEnvironment = [
                ("A", "inherited"), ("B", "inherited"), ("D", "inherited"), ("HOME", "/inherited"),
            ]
            request.environment = [("B", "pod"), ("E", "pod"), ("AC_APP_NAME", "forged")]
        }
        let expected = [
            "A": "app", "B": "pod", "C": "image", "D": "inherited", "E": "pod", "PATH": "/image", "SHELL": "/bin/sh",
            "USER": "root", "LOGNAME": "root", "HOME": "/inherited", "AC_APP_NAME": "main",
        ]
        // Each name is there once: a second would win in some programs.
        #expect(planned.plan.environment.map(\.0).sorted() == expected.keys.sorted())
        #expect(Dictionary(planned.plan.environment) { $1 } == expected)
    }

    @Test func namesThatOnlyReadTheSameAreTwo() throws {
        let planned = try images.plan(try images.image()) { app in
            app.environment = [("caf\u{E9}", "1")]
        } request: { request in
            request.inheritedEnvironment = [("cafe\u{301}", "2")]
            request.environment = [("\u{212A}", "3"), ("K", "4")]
        }
        let values = ["caf\u{E9}", "cafe\u{301}", "\u{212A}", "K"].map { name in
            planned.plan.environment.filter { $0.0.utf8.elementsEqual(name.utf8) }.map(\.1)
        }
        #expect(values == [["1"], ["2"], ["3"], ["4"]])
    }

    @Test func whatNobodySetsHasADefault() throws {
        let planned = try images.plan(try images.image(config: #"{"Entrypoint":["/bin/sh"]}"#))
        #expect(planned["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        #expect(planned["HOME"] == "/root")
        #expect(planned["AC_APP_NAME"] == "main")
    }

    @Test(
        arguments: [
            ("app", "app", "/home/app"), ("1000", "app", "/home/app"), ("5000", "5000", "/"), ("nohome", "nohome", "/"),
            ("control", "control", "/"), ("0", "root", "/root"),
        ]
    )
    func theAccountIsInTheEnvironment(user: String, name: String, home: String) throws {
        let planned = try images.plan(try images.image()) { $0.user = user }
        #expect(planned["USER"] == name)
        #expect(planned["LOGNAME"] == name)
        #expect(planned["HOME"] == home)
    }

    // MARK: User

    @Test func theUsersWordsReplaceTheImagesUserWithItsGroup() throws {
        let image = try images.image(config: #"{"Entrypoint":["/bin/sh"],"User":"nohome:extra"}"#)
        let unchanged = try images.plan(image).plan
        #expect((unchanged.uid, unchanged.gid) == (1002, 2001))
        let otherUser = try images.plan(image) { $0.user = "app" }.plan
        #expect((otherUser.uid, otherUser.gid) == (1000, 1001))
        #expect(otherUser.supplementaryGroups == [10, 2001])
        let otherGroup = try images.plan(image) { $0.group = "wheel" }.plan
        #expect((otherGroup.uid, otherGroup.gid) == (1002, 10))
        let otherGroups = try images.plan(image) { app in
            app.user = "app"
            app.supplementaryGroups = [5]
        }
        #expect(otherGroups.plan.supplementaryGroups == [5])
        let noGroups = try images.plan(image) { app in
            app.user = "app"
            app.supplementaryGroups = []
        }
        #expect(noGroups.plan.supplementaryGroups == [])
    }

    @Test func withAGroupOfItsOwnAnImageHasNoOtherGroups() throws {
        let image = try images.image(config: #"{"Entrypoint":["/bin/sh"],"User":"app:wheel"}"#)
        #expect(try images.plan(image).plan.supplementaryGroups == [])
    }

    @Test func accountsAreThoseOfTheUppermostLayer() throws {
        let upper = ImageFixture.Layer([
            .directory("./"), .directory("etc"), .file("etc/passwd", "app:x:77:78::/upper:/bin/sh\n"),
        ])
        let image = try images.image(ImageFixture([PodImages.base, upper]))
        let planned = try images.plan(image) { $0.user = "app" }
        #expect((planned.plan.uid, planned.plan.gid) == (77, 78))
        // The lower layer's group file is still there.
        #expect(planned.plan.supplementaryGroups == [10, 1001, 2001])
        #expect(planned["HOME"] == "/upper")
    }

    // MARK: Rights

    @Test func capabilitiesAreTheDefaultsWithoutOrJustTheGivenOnes() throws {
        let image = try images.image()
        #expect(try images.plan(image).plan.capabilities == Capability.defaults)
        let removed = try images.plan(image) { $0.capabilitiesToRemove = ["CAP_CHOWN", "CAP_SYS_ADMIN"] }.plan
        #expect(removed.capabilities == Capability.defaults.filter { $0.description != "CAP_CHOWN" })
        let retained = try images.plan(image) { $0.capabilitiesToRetain = ["CAP_SYS_ADMIN"] }.plan
        #expect(retained.capabilities == [try #require(Capability("CAP_SYS_ADMIN"))])
        #expect(try images.plan(image) { $0.capabilitiesToRetain = [] }.plan.capabilities.isEmpty)
    }

    @Test func capabilitiesThatDoNotExistOrExcludeEachOtherAreRefused() throws {
        let image = try images.image()
        let unknown = try failure { try images.plan(image) { $0.capabilitiesToRemove = ["CAP_ROOT"] } }
        #expect(unknown.code == .invalidArgument)
        #expect(unknown.message.contains("CAP_ROOT"))
        let both = try failure {
            try images.plan(image) { app in
                app.capabilitiesToRemove = []
                app.capabilitiesToRetain = []
            }
        }
        #expect(both.code == .invalidArgument)
    }

    @Test func insecureOptionsLiftWhatTheyNameAndNothingElse() throws {
        let image = try images.image()
        let safe = try images.plan(image).plan
        #expect((safe.filtersSystemCalls, safe.hidesPaths) == (true, true))
        let seccomp = try images.plan(image, request: { $0.insecure = .seccomp }).plan
        #expect((seccomp.filtersSystemCalls, seccomp.hidesPaths) == (false, true))
        let paths = try images.plan(image, request: { $0.insecure = [.paths, .image] }).plan
        #expect((paths.filtersSystemCalls, paths.hidesPaths) == (true, false))
        #expect(paths.capabilities == Capability.defaults)
        // All that this process may have, in a container less than there are.
        let all = try images.plan(image, request: { $0.insecure = .capabilities }).plan
        #expect(all.capabilities == (try BoundingSet.capabilities()))
    }

    @Test func underFlyAnAppHasWhatRootOnTheHostHas() throws {
        let planned = try images.plan(try images.image()) { app in
            app.capabilitiesToRetain = []
        } request: { request in
            request.stage1 = .fly
        }
        let plan = planned.plan
        #expect((plan.filtersSystemCalls, plan.hidesPaths, plan.noNewPrivileges) == (false, false, false))
        #expect(plan.capabilities == (try BoundingSet.capabilities()))
        #expect(planned["AC_APP_NAME"] == nil)
        #expect(planned["HOME"] == "/root")
    }

    // MARK: The rest

    @Test func theStopSignalIsTheImages() throws {
        let config = #"{"Entrypoint":["/bin/sh"],"StopSignal":"SIGINT","WorkingDir":"/bin"}"#
        let plan = try images.plan(try images.image(config: config)).plan
        #expect(plan.stopSignal == 2)
        #expect(plan.workingDirectory == "/bin")
        let changed = try images.plan(try images.image(config: config)) { $0.workingDirectory = "/etc" }
        #expect(changed.plan.workingDirectory == "/etc")
        let wrong = try images.image(config: #"{"Entrypoint":["/bin/sh"],"StopSignal":"SIGSTOPPED"}"#)
        let error = try failure { try images.plan(wrong) }
        #expect(error.code == .invalidData)
        #expect(error.message == "image \"example.com/app:1\" names a stop signal that is none: \"SIGSTOPPED\"")
    }
}
