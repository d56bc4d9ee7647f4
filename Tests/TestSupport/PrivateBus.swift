internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// A dbus-daemon of a test's own; ends with the last reference, and with the test process however that ends.
public final class PrivateBus: Sendable {
    /// Where it listens.
    public let address: String
    /// The path of its socket.
    public let socketPath: String
    private let directory: TemporaryDirectory
    private let pid: pid_t
    /// While it is open, the daemon runs.
    private let lifeline: OwnedFD

    /// Starts a dbus-daemon and waits until it listens.
    ///
    /// - Throws: `RktError` with `missingDependency` when it cannot be started.
    public init() throws {
        directory = try TemporaryDirectory()
        socketPath = directory.path(of: "bus")
        let configuration = """
            <!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
             "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
            <busconfig>
              <type>custom</type>
              <listen>unix:path=\(socketPath)</listen>
              <auth>EXTERNAL</auth>
              <policy context="default">
                <allow send_destination="*" eavesdrop="false"/>
                <allow receive_sender="*"/>
                <allow own="*"/>
              </policy>
            </busconfig>
            """
        let file = try directory.open().open("bus.conf", flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        try file.writeAll(configuration, name: "bus.conf")
        var ends: [CInt] = [-1, -1]
        try system("making a pair of sockets") { socketpair(AF_UNIX, Self.closedOnExec, 0, &ends) }
        lifeline = OwnedFD(taking: ends[0])
        let other = OwnedFD(taking: ends[1])
        (pid, address) = try Self.start(
            configuration: directory.path(of: "bus.conf"),
            errors: directory.path(of: "errors"),
            lifeline: other.rawValue
        )
        _ = consume other
    }

    private static let closedOnExec = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)

    /// A shell that ends the daemon when the other end of its standard input is closed. It closes its output, which
    /// tells by its end that the daemon gave up.
    private static let keeper = "dbus-daemon \"$@\" & daemon=$!; exec >&-; read -r end; kill -9 $daemon"

    /// Starts the daemon. It keeps nothing of the test process open: whoever waits for the end of that one's output would
    /// wait for the daemon too, if the test process were killed.
    private static func start(
        configuration: String,
        errors: String,
        lifeline: CInt
    ) throws -> (pid_t, String) {
        var ends: [CInt] = [-1, -1]
        try system("making a pipe") { pipe(&ends) }
        let reader = OwnedFD(taking: ends[0])
        let writer = OwnedFD(taking: ends[1])
        try reader.setInherited(false)
        try writer.setInherited(false)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, lifeline, 0)
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o600)

        let arguments = [
            "sh", "-c", keeper, "sh", "--nofork", "--nopidfile", "--print-address=1", "--config-file=\(configuration)",
        ]
        var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        defer { vector.forEach { free($0) } }
        var pid: pid_t = 0
        let error = posix_spawnp(&pid, "sh", &actions, nil, &vector, environ)
        guard error == 0 else {
            throw RktError(.missingDependency, "cannot start dbus-daemon", cause: RktError(errno: error, "posix_spawn"))
        }
        _ = consume writer
        // One line, written once the socket listens; the end of the file when the daemon gave up.
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while read(reader.rawValue, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        if line.isEmpty {
            let reason = (try? Directory(path: String(errors.dropLast("/errors".count))).readText("errors")) ?? ""
            throw RktError(.missingDependency, "dbus-daemon ended before it listened: \(reason)")
        }
        return (pid, String(decoding: line, as: UTF8.self))
    }

    /// Ends the daemon, and with it every connection.
    public func kill() {
        shutdown(lifeline.rawValue, CInt(SHUT_RDWR))
    }

    deinit {
        kill()
        waitpid(pid, nil, 0)
    }
}
