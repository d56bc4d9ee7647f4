import Diagnostics
import Manifests
import Testing
import UnitGen

@Suite struct PodUnitsTests {
    private func service(_ app: AppPlan, in sample: String = "redis") throws -> UnitFile {
        let units = try Samples.pod(sample, apps: [app]).units()
        return try #require(units.last).file
    }

    @Test func everyCommandComesBackWordForWord() throws {
        var random = SeededGenerator(seed: 13)
        for _ in 0..<500 {
            var pod = try Samples.pod("redis")
            pod.dataDirectory = "/" + random.text(maximum: 12).replacing("\0", with: "")
            let file = try #require(try pod.units().last).file
            let read = try UnitFile(parsing: file.description)
            #expect(read == file)
            let uuid = try Samples.uuid().description
            let common = [uuid, "redis", pod.dataDirectory]
            let start = [["/usr/lib/rkt/pod-init", "app"], common, ["/usr/bin/crun"]].flatMap { $0 }
            let end = ["/usr/lib/rkt/pod-init", "ended"] + common
            // Only the record of the end is written with full privileges, outside of the app's sandbox.
            let words = try [("ExecStart", ":"), ("ExecStopPost", "+:")].map { key, prefixes in
                try SystemdSyntax.command(read.values("Service", key)[0], prefixes: prefixes)
            }
            #expect(words == [start, end].map { $0.map { Array($0.utf8) } })
        }
    }

    /// Nothing that comes from an image or a user makes an assignment of its own.
    @Test func textFromAnImageStaysInItsPlace() throws {
        var random = SeededGenerator(seed: 14)
        let expected = try service(Samples.app("redis"))
        for _ in 0..<1_000 {
            var app = try Samples.app("redis")
            app.imageName = "\n[Service]\nExecStart=/bin/sh\n" + random.text(maximum: 12).replacing("\0", with: "")
            let read = try UnitFile(parsing: try service(app).description)
            #expect(
                read.sections.map { $0.assignments.map(\.key) } == expected.sections.map { $0.assignments.map(\.key) }
            )
            let field = try SystemdSyntax.words(read.values("Service", "LogExtraFields")[2])
            #expect(field == [Array("RKT_IMAGE=\(app.imageName)".utf8)])
        }
    }

    @Test func anImageNameWithANulIsRefusedByName() throws {
        var app = try Samples.app("redis")
        app.imageName = "a\0b"
        let error = try #require(throws: RktError.self) { try service(app) }
        #expect(error.message == "journal field RKT_IMAGE has a NUL byte in it")
    }

    @Test(arguments: [(15, "SIGTERM"), (9, "SIGKILL"), (37, "SIGRTMIN+3"), (64, "SIGRTMIN+30")] as [(Int32, String)])
    func theStopSignalIsTheUnits(signal: Int32, name: String) throws {
        var app = try Samples.app("redis")
        app.stopSignal = signal
        #expect(try service(app).values("Service", "KillSignal") == [name])
    }

    @Test(arguments: [0, -1, 32, 65, Int32.max])
    func aStopSignalThatIsNoneIsRefused(signal: Int32) throws {
        var app = try Samples.app("redis")
        app.stopSignal = signal
        let error = try #require(throws: RktError.self) { try service(app) }
        #expect(error.message == "app \"redis\": there is no stop signal \(signal)")
    }

    @Test func theJournalIsTheNamespacesOrTheHosts() throws {
        let app = try Samples.app("redis")
        #expect(try service(app).values("Service", "LogNamespace") == ["rkt-\(try Samples.uuid())"])
        #expect(try service(app, in: "host").values("Service", "LogNamespace") == [])
    }

    @Test func twoAppsOfOneNameAreRefused() throws {
        let app = try Samples.app("redis")
        let error = try #require(throws: RktError.self) { try Samples.pod("redis", apps: [app, app]).units() }
        #expect(error.message == "multiple apps with name redis")
    }

    @Test(arguments: [206, 207])
    func aNameThatIsTooLongForAUnitIsRefused(length: Int) throws {
        var app = try Samples.app("redis")
        app.name = try ACName(String(repeating: "a", count: length))
        let pod = try Samples.pod("redis", apps: [app])
        if length == 206 {
            #expect(try pod.units().last?.name.utf8.count == 255)
        } else {
            #expect(try #require(throws: RktError.self) { try pod.units() }.message.contains("is too long"))
        }
    }

    @Test(arguments: ["data directory", "OCI runtime", "path of pod-init"], ["", "rkt", "/a\0"])
    func aPathThatIsNotAbsoluteIsRefused(field: String, path: String) throws {
        var pod = try Samples.pod("redis")
        switch field {
        case "data directory": pod.dataDirectory = path
        case "OCI runtime": pod.runtime = path
        default: pod.podInit = path
        }
        let error = try #require(throws: RktError.self) { try pod.units() }
        #expect(error.message == "the \(field) \(path.debugDescription) is not an absolute path")
    }

    @Test func theSliceGoesWhenNothingIsInIt() throws {
        let slice = try #require(try Samples.pod("redis").units().first)
        // A dash would put it into a slice of a slice.
        #expect(slice.name.filter { $0 == "-" }.count == 1)
        #expect(slice.file.values("Unit", "StopWhenUnneeded") == ["yes"])
    }
}
