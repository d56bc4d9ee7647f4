import Manifests
import Testing
import UnitGen

/// What is generated for four pods, as files that can be read: an app in namespaces of its own with few rights, one on
/// the host's network with many rights and awkward text, one under fly, and one in a machine.
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
        guard !["host", "nspawn"].contains(name) else {
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

    @Test func theMachineIsAsRecorded() throws {
        let files = try Samples.pod("nspawn").machineRoot()
        let app = "etc/systemd/system/nspawn.service"
        try Fixtures.expect(try #require(files.first { $0.path == app }).content, isIn: "nspawn.service")
        // In one file, each behind a line with its name.
        let others = files.filter { $0.path != app }.map { "==> \($0.path)\n\($0.content)" }
        try Fixtures.expect(others.joined(separator: "\n"), isIn: "nspawn.root")
    }

    @Test func theFilterOfAMachineIsAsRecorded() throws {
        let pod = try Samples.pod("nspawn")
        let bytes = try #require(pod.machineFilterConfiguration())
        let lines = String(decoding: bytes, as: UTF8.self).replacing("\",\"", with: "\",\n\"")
        try Fixtures.expect(lines + "\n", isIn: "machine-filter.json")
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
