internal import CLinux
internal import Diagnostics
internal import Glibc

/// A program that was started as a child of this process. Nothing is inherited but what is named: no descriptor, no
/// signal that is ignored or blocked here.
public final class ChildProcess: Sendable {
    /// What there is to say of a start.
    public struct Start {
        /// The program's absolute path.
        public var path: String
        /// The arguments, without its own name.
        public var arguments: [String]
        /// The environment, `NAME=VALUE`; nil for this process's.
        public var environment: [String]?
        /// Its descriptors: which of this process's each is. What is not there of 0, 1 and 2 is `/dev/null`.
        public var descriptors: [Int32: Int32] = [2: 2]
        /// Whether it leads a session of its own: signals of the terminal do not reach it.
        public var leadsSession = false

        /// Describes a start.
        ///
        /// - Parameters:
        ///   - path: The program's absolute path.
        ///   - arguments: The arguments, without its own name.
        public init(_ path: String, _ arguments: [String]) {
            self.path = path
            self.arguments = arguments
        }
    }

    /// How a process ended.
    public enum Ending: Sendable, Hashable {
        /// By itself, with a status.
        case exited(Int32)
        /// By a signal.
        case killed(Int32)
    }

    /// Its number; its own until ``reap()``.
    public let pid: Int32
    /// Readable once it has ended.
    public let process: PidFD

    /// Takes hold of a child of this process that has not been reaped.
    ///
    /// - Parameter pid: Its number.
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public init(pid: Int32) throws {
        self.pid = pid
        process = try PidFD(pid: pid)
    }

    /// Starts a program.
    ///
    /// - Parameter start: What to start.
    /// - Throws: ``RktError`` when it cannot be started.
    public convenience init(_ start: Start) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        for number in CInt(0)...2 where start.descriptors[number] == nil {
            posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
        }
        // What this process has inherited itself shall go no further.
        _ = rkt_close_range(3, .max, Self.closeRangeOnExec)
        // Out of the way first: the place of one may be where another one is.
        var moved: [CInt] = []
        defer { for own in moved { close(own) } }
        let first = (start.descriptors.keys.max() ?? 2) + 1
        for (number, own) in start.descriptors {
            let aside = try system("duplicating a file descriptor") { fcntl(own, F_DUPFD_CLOEXEC, first) }
            moved.append(aside)
            posix_spawn_file_actions_adddup2(&actions, aside, number)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        var all = sigset_t()
        sigemptyset(&none)
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        let session = start.leadsSession ? Self.setsid : 0
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | session))

        var words = ([start.path] + start.arguments).map { strdup($0) } + [nil]
        var variables = (start.environment ?? []).map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var child = pid_t()
        let problem = variables.withUnsafeMutableBufferPointer { variables in
            let environment = start.environment == nil ? environ : variables.baseAddress
            return posix_spawn(&child, start.path, &actions, &attributes, &words, environment)
        }
        guard problem == 0 else { throw RktError(errno: problem, "starting \(start.path)") }
        try self.init(pid: child)
    }

    /// CLOSE_RANGE_CLOEXEC.
    private static let closeRangeOnExec: UInt32 = 4
    /// POSIX_SPAWN_SETSID, which the C library hides without _GNU_SOURCE.
    private static let setsid: CInt = 0x80

    /// Waits until the process has ended, and lets go of its number.
    ///
    /// - Returns: How it ended.
    /// - Throws: ``RktError`` when it is no child of this process.
    public func reap() throws -> Ending {
        var status: CInt = 0
        try system("waiting for process \(pid)") { waitpid(pid, &status, 0) }
        let signal = status & 0x7f
        return signal == 0 ? .exited(status >> 8 & 0xff) : .killed(signal)
    }
}
