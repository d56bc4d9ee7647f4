import Diagnostics
import FoundationEssentials
import Manifests
import Testing
import UnitGen

/// A pod with a systemd of its own (stage1 nspawn).
@Suite struct MachineUnitsTests {
    /// The units of a pod's machine.
    static func units(of pod: PodPlan) throws -> [(name: String, text: String)] {
        let directory = "etc/systemd/system/"
        return try pod.machineRoot().filter { $0.path.hasPrefix(directory) }.map { file in
            (String(file.path.dropFirst(directory.count)), file.content)
        }
    }

    private func seccomp(_ configuration: [UInt8]) throws -> JSONValue? {
        try JSONDecoder().decode(JSONValue.self, from: Data(configuration))["linux"]?["seccomp"]
    }

    @Test func theHostHasNoUnitsOfIt() throws {
        let pod = try Samples.pod("nspawn")
        #expect(try pod.units() == [])
        #expect(pod.journalConfiguration() == [])
    }

    @Test(arguments: ["redis", "host", "fly"])
    func withoutAMachineThereIsNothingForIt(sample: String) throws {
        let pod = try Samples.pod(sample)
        #expect(try pod.machineRoot() == [])
        #expect(pod.filterConfiguration(for: pod.apps[0]) == nil)
    }

    @Test func everyUnitComesBackAsItWasWritten() throws {
        let units = try Self.units(of: Samples.pod("nspawn"))
        #expect(units.count > 20)
        for (name, text) in units { #expect(try UnitFile(parsing: text).description == text, "\(name)") }
    }

    @Test func noFileIsThereTwice() throws {
        let paths = try Samples.pod("nspawn").machineRoot().map(\.path)
        #expect(Set(paths).count == paths.count)
    }

    /// Each file's path stays below the machine's root.
    @Test func pathsAreRelative() throws {
        for file in try Samples.pod("nspawn").machineRoot() {
            let parts = file.path.split(separator: "/", omittingEmptySubsequences: false)
            #expect(!parts.contains { ["", ".", ".."].contains($0) }, "\(file.path)")
        }
    }

    @Test func allAppsAreStarted() throws {
        let apps = try ["one", "two"].map { name in
            var app = try Samples.app("nspawn")
            app.name = try ACName(name)
            return app
        }
        let units = try Self.units(of: Samples.pod("nspawn", apps: apps))
        let text = try #require(units.first { $0.name == "default.target" }).text
        let target = try UnitFile(parsing: text)
        #expect(
            target.values("Unit", "Wants")
                == ["one.service two.service rkt-ends.service systemd-journald.service dbus.socket"]
        )
        #expect(target.values("Unit", "After") == ["one.service two.service"])
        // What watches the apps is up before them, and down after them.
        let watch = try UnitFile(parsing: try #require(units.first { $0.name == "rkt-ends.service" }).text)
        #expect(watch.values("Unit", "Before") == ["one.service two.service shutdown.target"])
    }

    @Test func anAppWithTheNameOfAUnitOfTheMachinesIsRefusedByName() throws {
        let suffix = ".service"
        let own = try Self.units(of: Samples.pod("nspawn")).map(\.name).filter { $0.hasSuffix(suffix) }
        let names = own.compactMap { try? ACName(String($0.dropLast(suffix.count))) }
        #expect(names.contains(try ACName("dbus")))
        for name in names where name.description != "nspawn" {
            var app = try Samples.app("nspawn")
            app.name = name
            let error = try #require(throws: RktError.self) { try Samples.pod("nspawn", apps: [app]).machineRoot() }
            #expect(error.code == .invalidArgument)
            let reason = "stage1 nspawn has a unit \(name).service of its own"
            #expect(error.message == "an app cannot be called \"\(name)\": \(reason) (try --name)")
        }
    }

    // MARK: Filters

    @Test func theFilterThatIsCompiledIsTheApps() throws {
        let pod = try Samples.pod("nspawn")
        let configuration = try #require(pod.filterConfiguration(for: pod.apps[0]))
        #expect(OCIRules.violations(in: try JSONDecoder().decode(JSONValue.self, from: Data(configuration))) == [])
        let filter = try #require(try seccomp(configuration))
        #expect(try seccomp(pod.runtimeConfiguration(for: pod.apps[0])) == filter)
    }

    @Test func withoutAFilterNothingIsCompiled() throws {
        var app = try Samples.app("nspawn")
        app.filtersSystemCalls = false
        #expect(try Samples.pod("nspawn", apps: [app]).filterConfiguration(for: app) == nil)
        // That is the app's; the machine has its own all the same.
        #expect(try Samples.pod("nspawn", apps: [app]).machineFilterConfiguration() != nil)
    }

    @Test(arguments: ["redis", "host", "fly"])
    func aPodThatIsNoMachineHasNoFilterOfAMachine(name: String) throws {
        let pod = try Samples.pod(name)
        #expect(pod.machineFilterConfiguration() == nil)
    }
}
