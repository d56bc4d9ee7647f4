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
        let parent = try directory.open()
        try parent.write("file", "", mode: 0o644)
        try parent.makeDirectory("directory", mode: 0o755)
        try parent.makePipe("pipe", mode: 0o755)
        for name in ["file", "directory", "directory/", "directory/.", "pipe"] {
            let path = directory.path(of: name)
            let error = try failure { try Installation.runtime(path) }
            #expect(error.code == .invalidArgument)
            #expect(error.message.hasPrefix("the OCI runtime \(path) is no program that can be run: give the path"))
        }
    }

    @Test(arguments: ["", "crun/", "bin/crun", "./crun", "../usr/bin/env", "crun\0", "/usr/bin/env\0"])
    func whatNamesNoProgramIsRefused(name: String) throws {
        let error = try failure { try Installation.runtime(name) }
        #expect(error.code == .invalidArgument)
        #expect(error.message.hasPrefix("\(name.debugDescription) names no OCI runtime: give a program's name"))
    }

    @Test(arguments: [".", ".."])
    func aDirectoryIsNoRuntimeByItsNameEither(name: String) throws {
        #expect(try failure { try Installation.runtime(name) }.code == .missingDependency)
    }
}
