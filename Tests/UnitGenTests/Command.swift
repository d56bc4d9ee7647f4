import FoundationEssentials
import Glibc
import Testing

/// A program run to its end.
enum Command {
    struct Result {
        /// The exit status; 128 and the signal when one ended it.
        var status: Int32
        /// What it wrote to its standard output and error.
        var output: String { String(decoding: bytes, as: UTF8.self) }
        var bytes: [UInt8]
    }

    static func exists(_ path: String) -> Bool { access(path, X_OK) == 0 }

    static func run(_ program: String, _ arguments: [String]) throws -> Result {
        let directory = try ScratchDirectory()
        defer { directory.remove() }
        let output = directory.path(of: "output")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        var vector: [UnsafeMutablePointer<CChar>?] = ([program] + arguments).map { strdup($0) } + [nil]
        var environment: [UnsafeMutablePointer<CChar>?] = [strdup("PATH=/usr/sbin:/usr/bin:/sbin:/bin"), nil]
        defer { for word in vector + environment { free(word) } }
        var child: pid_t = 0
        try #require(posix_spawn(&child, program, &actions, nil, &vector, &environment) == 0)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0 { try #require(errno == EINTR) }
        let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : 128 + (status & 0x7F)
        return Result(status: code, bytes: Array(try Data(contentsOf: URL(filePath: output))))
    }
}

/// A directory for one test.
struct ScratchDirectory {
    private let path: String

    init() throws {
        var template = Array("/tmp/rkt-unitgen-XXXXXX".utf8CString)
        let made = try #require(mkdtemp(&template))
        path = String(cString: made)
    }

    func path(of name: String) -> String { "\(path)/\(name)" }

    func write(_ text: String, to name: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path(of: name)))
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}
