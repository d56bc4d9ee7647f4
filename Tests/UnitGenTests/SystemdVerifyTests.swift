import FoundationEssentials
import Manifests
import Testing
import UnitGen

/// The judgement of systemd's own parser.
@Suite(
    .enabled(if: Command.exists("/usr/bin/systemd-analyze"), "systemd-analyze is not installed"),
    .timeLimit(.minutes(10))
)
struct SystemdVerifyTests {
    /// Loads units with systemd-analyze: what it has to say about them, nothing when all is well.
    private func verify(_ units: [(name: String, text: String)]) throws -> String {
        let directory = try ScratchDirectory()
        defer { directory.remove() }
        for (name, text) in units { try directory.write(text, to: name) }
        let options = ["--man=no", "--recursive-errors=no"]
        let paths = units.map { directory.path(of: $0.name) }
        let result = try Command.run("/usr/bin/systemd-analyze", ["verify"] + options + paths)
        #expect((result.status == 0) == result.output.isEmpty)
        return result.output
    }

    /// A pod whose programs are there: systemd looks.
    private func startable(_ pod: PodPlan) -> PodPlan {
        var pod = pod
        pod.podInit = "/bin/true"
        return pod
    }

    @Test(arguments: Samples.names.filter { $0 != "nspawn" })
    func recordedUnitsAreAccepted(name: String) throws {
        let units = try startable(Samples.pod(name)).units().map { ($0.name, $0.file.description) }
        #expect(try verify(units) == "")
    }

    @Test func unitsOfAMachineAreAccepted() throws {
        let units = try MachineUnitsTests.units(of: Samples.pod("nspawn")).map { name, text in
            // Not every host has all that a machine starts, and the launcher is nowhere but in there.
            (name, text.replacing(/(?m)^(ExecStart|ExecStopPost)=([-+:]*)[^ \n]+/) { "\($0.1)=\($0.2)/bin/true" })
        }
        #expect(try verify(units) == "")
    }

    @Test func whatIsWrongIsSeen() throws {
        let unit = "[Service]\nExecStart=/bin/true\nNoSuchKey=1\n"
        #expect(try verify([("a.service", unit)]).contains("NoSuchKey"))
    }

    @Test func awkwardTextIsAccepted() throws {
        var random = SeededGenerator(seed: 10)
        var apps: [AppPlan] = []
        for index in 0..<150 {
            var app = try Samples.app("redis")
            app.name = try ACName("app\(index)")
            app.imageName = random.text(maximum: 20)
            if !app.imageName.utf8.contains(0) { apps.append(app) }
        }
        #expect(apps.count > 50)
        var pod = startable(try Samples.pod("redis", apps: apps))
        // One data directory of all that a path can have in it.
        pod.dataDirectory =
            "/" + String(String.UnicodeScalarView(random.text(maximum: 200).unicodeScalars.filter { $0 != "\0" }))
        #expect(try verify(pod.units().map { ($0.name, $0.file.description) }) == "")
    }
}
