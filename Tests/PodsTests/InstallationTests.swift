import Diagnostics
import Glibc
import LinuxOS
@testable import Pods
import TestSupport
import Testing

@Suite struct InstallationTests {
    private let directory: TemporaryDirectory

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func aRuntimeIsFoundByItsName() throws {
        #expect(try ["/usr/local/bin/env", "/usr/bin/env"].contains(Installation.runtime("env")))
    }

    @Test func aRuntimeIsTakenByItsPath() throws {
        try directory.open().write("runtime", "", mode: 0o755)
        #expect(try Installation.runtime(directory.path(of: "runtime")) == directory.path(of: "runtime"))
    }

    @Test(arguments: ["rkt-no-such-runtime", "/nonexistent/crun"])
    func aRuntimeThatIsNotThereIsNamed(name: String) throws {
        let error = try failure { try Installation.runtime(name) }
        #expect(error.code == .missingDependency)
        #expect(error.message.contains("the OCI runtime \(name) is not installed"))
    }

    @Test func aFileThatIsNoProgramIsNoRuntime() throws {
        try directory.open().write("runtime", "", mode: 0o644)
        #expect(try failure { try Installation.runtime(directory.path(of: "runtime")) }.code == .missingDependency)
    }
}
