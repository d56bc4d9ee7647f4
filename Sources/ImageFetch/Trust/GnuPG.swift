internal import CLinux
internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Runs GnuPG's programs on bytes that others wrote: as a user that nobody is, without rights, with limits, on files in
/// memory, and with no keyring of anybody's.
enum GnuPG {
    /// What a program has said.
    struct Answer {
        /// Its lines of status, for programs to read (GnuPG's `doc/DETAILS`).
        let status: String
        /// What it printed.
        let output: String
        let ending: ChildProcess.Ending
    }

    /// Where a program finds its first file; the next ones follow.
    static let firstFile: Int32 = 4
    private static let statusFile: Int32 = 3

    private static let memory = 512 << 20
    private static let output = 4 << 20
    /// What it may compute, in seconds: hashing 64 GiB takes a few minutes.
    private static let processorTime = 1800
    /// How long it may take when all has been handed to it.
    private static let patience: Duration = .seconds(120)

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - program: Its name.
    ///   - arguments: Its arguments, without those that all of them get.
    ///   - files: The content of its files: descriptors from ``firstFile`` on.
    ///   - input: Writes its standard input.
    /// - Returns: What it said.
    /// - Throws: `RktError` with `missingDependency` when it is not installed, `timeout` when it does not end; what
    ///   `input` throws.
    static func run(
        _ program: String,
        _ arguments: [String],
        files: [[UInt8]],
        input: (LocalStream) throws -> Void = { _ in }
    ) throws -> Answer {
        let path = "/usr/bin/\(program)"
        guard access(path, X_OK) == 0 else {
            let package = program == "gpg" ? "gnupg" : program
            throw RktError(
                .missingDependency,
                "OpenPGP needs \(program), which is not there: install the package \(package)"
            )
        }
        let common = ["--homedir", "/nonexistent", "--status-fd", "\(statusFile)"]
        let confined = Self.confinement + [path] + common + arguments
        var start = ChildProcess.Start(confined[0], Array(confined.dropFirst()))
        start.environment = ["HOME=/nonexistent", "LC_ALL=C.UTF-8", "PATH=/usr/bin:/bin"]
        start.leadsSession = true
        let status = SharedFD(try memoryFile([], "status"))
        let output = SharedFD(try memoryFile([], "output"))
        let contents = try files.map { SharedFD(try memoryFile($0, "input")) }
        let stream = try LocalStream(capacity: 1 << 20)
        let reader = stream.takeReader()
        start.descriptors = [0: reader.rawValue, 1: output.descriptor.rawValue]
        start.descriptors[statusFile] = status.descriptor.rawValue
        for (index, file) in contents.enumerated() {
            start.descriptors[firstFile + Int32(index)] = file.descriptor.rawValue
        }
        let child = try ChildProcess(start)
        // It alone reads now: when it ends, nobody does.
        close(reader.release())
        withExtendedLifetime(contents) {}
        let ending = try finish(child, program) {
            defer { stream.finish() }
            try input(stream)
        }
        return Answer(status: try read(status, "status"), output: try read(output, "output"), ending: ending)
    }

    /// The programs in front of it. What root parses, root's rights are not needed for.
    private static var confinement: [String] {
        let limits = [
            "/usr/bin/prlimit", "--as=\(memory)", "--cpu=\(processorTime)", "--fsize=\(output)", "--core=0",
            "--nofile=64",
            "--",
        ]
        guard geteuid() == 0 else { return limits }
        let user = stranger.map { ["--reuid=\($0)", "--regid=\($0)", "--clear-groups"] } ?? []
        return ["/usr/bin/setpriv"] + user + ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"] + limits
    }

    /// A user that nobody is, and who has no other process: another one of the same user could have this one say
    /// anything.
    private static var stranger: UInt32? {
        // Numbers that systemd keeps free; in a container there are fewer.
        let users = [0x7000_0000 + UInt32(bitPattern: getpid()), 65_534]
        guard let text = try? Directory(path: "/proc/self").readText("uid_map") else { return users[1] }
        let ranges = text.split(separator: "\n").compactMap { line -> Range<UInt64>? in
            let numbers = line.split(separator: " ").compactMap { UInt64($0) }
            return numbers.count == 3 ? numbers[0]..<(numbers[0] + numbers[2]) : nil
        }
        return users.first { user in ranges.contains { $0.contains(UInt64(user)) } }
    }

    private static func finish(
        _ child: ChildProcess,
        _ program: String,
        _ feed: () throws -> Void
    ) throws
        -> ChildProcess.Ending
    {
        do {
            try feed()
            guard try Interruption().wait(for: child.process.descriptor.rawValue, until: .now + patience) else {
                throw RktError(.timeout, "\(program) does not end")
            }
        } catch {
            try? child.process.send(SIGKILL)
            _ = try? child.reap()
            throw error
        }
        return try child.reap()
    }

    private static func memoryFile(_ bytes: [UInt8], _ name: String) throws -> OwnedFD {
        let file = OwnedFD(taking: try system("making a file in memory") { rkt_memfd(name) })
        try file.writeAll(bytes, name: name)
        let raw = file.rawValue
        try system("making a file in memory") { lseek(raw, 0, SEEK_SET) }
        return file
    }

    private static func read(_ file: SharedFD, _ name: String) throws -> String {
        let raw = file.descriptor.rawValue
        try system("reading \(name)") { lseek(raw, 0, SEEK_SET) }
        return String(decoding: try file.descriptor.readAll(limit: output, name: name), as: UTF8.self)
    }
}
