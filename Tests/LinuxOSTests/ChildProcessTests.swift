import Diagnostics
import Glibc
import LinuxOS
import Testing

@Suite struct ChildProcessTests {
    /// Runs a shell with a pipe as its output.
    private func output(_ script: String, _ change: (inout ChildProcess.Start) -> Void = { _ in }) throws -> String {
        let pipe = try Pipe()
        let writer = pipe.takeWriter()
        var start = ChildProcess.Start("/bin/sh", ["-c", script])
        start.descriptors[1] = writer.rawValue
        change(&start)
        let child = try ChildProcess(start)
        _ = consume writer
        let output = try pipe.reader.readAll(limit: 65_536, name: "output")
        _ = try child.reap()
        return String(decoding: output, as: UTF8.self)
    }

    @Test func howAProcessEndedIsTold() throws {
        #expect(try ChildProcess(.init("/bin/sh", ["-c", "exit 7"])).reap() == .exited(7))
        #expect(try ChildProcess(.init("/bin/sh", ["-c", "kill -KILL $$"])).reap() == .killed(9))
        #expect(throws: RktError.self) { try ChildProcess(.init("/no/such/program", [])) }
    }

    @Test func nothingIsInheritedButWhatIsNamed() throws {
        let extra = try Pipe()
        let other = open("/dev/null", O_RDONLY)
        defer { close(other) }
        let files = try output("ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; readlink /proc/self/fd/5") {
            // Where another one is.
            $0.descriptors[5] = extra.reader.rawValue
            $0.descriptors[extra.reader.rawValue] = other
            $0.descriptors[2] = nil
        }
        let lines = files.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines.dropFirst().first == "/dev/null")
        #expect(lines.last?.hasPrefix("pipe:") == true)
    }

    @Test func theEnvironmentAndTheSessionAreItsOwn() throws {
        let own = try output("echo $A-$HOME; ps -o sid= -p $$; echo $$") {
            $0.environment = ["A=b", "PATH=/usr/bin:/bin"]
            $0.leadsSession = true
        }
        let lines = own.split(separator: "\n").map { $0.trimmingPrefix { $0 == " " } }
        #expect(lines.first == "b-")
        #expect(lines.count == 3 && lines[1] == lines[2])
    }
}
