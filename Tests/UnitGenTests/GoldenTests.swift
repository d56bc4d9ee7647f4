import Manifests
import Testing
import UnitGen

/// What is generated for three pods, as files that can be read: an app in namespaces of its own with few rights, one on
/// the host's network with many rights and awkward text, and one under fly.
@Suite struct GoldenTests {
    @Test(arguments: Samples.names)
    func unitsAreAsRecorded(name: String) throws {
        for unit in try Samples.pod(name).units() {
            let isSlice = unit.name.hasSuffix(".slice")
            #expect(
                unit.name
                    == (isSlice ? "rkt-\(try Samples.uuid().hex).slice" : "rkt-\(try Samples.uuid())-\(name).service")
            )
            try Fixtures.expect(unit.file.description, isIn: isSlice ? "pod.slice" : "\(name).service")
            #expect(try UnitFile(parsing: unit.file.description) == unit.file)
        }
    }

    @Test(arguments: Samples.names)
    func journalConfigurationIsAsRecorded(name: String) throws {
        let files = try Samples.pod(name).journalConfiguration()
        guard name != "host" else {
            #expect(files == [])
            return
        }
        let machine = "rkt-\(try Samples.uuid())"
        #expect(
            files.map(\.path) == [
                "systemd/journald@\(machine).conf.d/10-rkt.conf",
                "systemd/system/systemd-journald@\(machine).service.d/10-rkt.conf",
                "systemd/system/systemd-journald-sync@\(machine).service.d/10-rkt.conf",
            ]
        )
        try Fixtures.expect(files[0].content, isIn: "journald.conf")
        try Fixtures.expect(files[1].content, isIn: "journald-service.conf")
        try Fixtures.expect(files[2].content, isIn: "journald-sync-service.conf")
    }

    @Test(arguments: Samples.names, [MachineArchitecture.x86, .arm])
    func bundlesAreAsRecorded(name: String, architecture: MachineArchitecture) throws {
        let pod = try Samples.pod(name)
        let bytes = try pod.runtimeConfiguration(for: pod.apps[0], architecture: architecture)
        // Compact for the runtime, one value a line for who reads the difference.
        let lines = String(decoding: bytes, as: UTF8.self).replacing("],\"", with: "],\n\"").replacing(
            "},{",
            with: "},\n{"
        )
        try Fixtures.expect(lines + "\n", isIn: "\(name).\(architecture).json")
    }
}
