internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// A directory that goes with the test, and the tools that fill it.
final class Scratch: Sendable {
    let path: String

    init() throws {
        var template = Array("/tmp/rkt-journal-test.XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw RktError(errno: errno, "making a scratch directory") }
        path = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        try? Directory(path: "/tmp").removeTree(String(path.dropFirst("/tmp/".count)))
    }

    /// Unpacks the journal fixture as a file of this directory.
    func unpackJournal(as name: String = "pod.journal") throws {
        let fixture = "\(Self.fixtures)/pod.journal.xz"
        let result = Glibc.system("xz --decompress --stdout '\(fixture)' > '\(path)/\(name)'")
        guard result == 0 else { throw RktError(.failed, "unpacking \(fixture) with xz") }
    }

    private static let fixtures: String = {
        let parts = #filePath.split(separator: "/").dropLast(2)
        return "/" + parts.joined(separator: "/") + "/Fixtures/Journal"
    }()
}

/// Writes journal entries as they come, as journald would.
final class JournalWriter {
    static let program = "/lib/systemd/systemd-journal-remote"
    static var isInstalled: Bool { access(program, X_OK) == 0 }

    private let pipe: UnsafeMutablePointer<FILE>

    init(file: String) throws {
        guard let pipe = popen("exec \(Self.program) --output='\(file)' - >/dev/null 2>&1", "we") else {
            throw RktError(errno: errno, "starting \(Self.program)")
        }
        self.pipe = pipe
    }

    deinit {
        pclose(pipe)
    }

    func write(_ message: String, at microseconds: UInt64) {
        let id = "11111111111111111111111111111111"
        fputs(
            "__REALTIME_TIMESTAMP=\(microseconds)\n__MONOTONIC_TIMESTAMP=\(microseconds)\n_BOOT_ID=\(id)\n"
                + "_MACHINE_ID=\(id)\nMESSAGE=\(message)\n\n",
            pipe
        )
        fflush(pipe)
    }
}
