internal import Diagnostics
internal import Glibc

/// A program that is run to its end. What it prints goes to standard error: results are the caller's.
public struct ChildProgram: Sendable {
    private let path: String
    private let arguments: [String]

    /// Names a program.
    ///
    /// - Parameters:
    ///   - path: Its absolute path.
    ///   - arguments: Its arguments, without its own name.
    public init(_ path: String, _ arguments: [String]) {
        self.path = path
        self.arguments = arguments
    }

    /// Runs it and waits for it.
    ///
    /// - Returns: Its exit status; 128 and the number of the signal that killed it.
    /// - Throws: ``RktError`` when it cannot be started.
    public func run() async throws -> Int32 {
        try await OwnThread.run { _ in try start() }
    }

    private func start() throws -> Int32 {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, 2, 1)
        // What this process ignores or blocks is no business of the program's.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

        var words = ([path] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var child = pid_t()
        let problem = posix_spawn(&child, path, &actions, &attributes, &words, environ)
        guard problem == 0 else { throw RktError(errno: problem, "starting \(path)") }
        var status: CInt = 0
        try system("waiting for \(path)") { waitpid(child, &status, 0) }
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
    }
}
