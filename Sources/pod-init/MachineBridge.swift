import CMusl

/// Passes bytes on between its standard input and output and a socket in a machine, from inside of that machine and as
/// its root: its systemd talks to nobody else.
///
/// Arguments: PID SOCKET, the machine's first process and the socket's path.
enum MachineBridge {
    /// Goes on as a copy of this program that nobody can change: in a machine, whoever may trace processes can open
    /// what another one executes, and that is a file of the host's.
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        Role.name = "bridge"
        let program = openFile(Text("/proc/self/exe"), O_RDONLY)
        guard let content = contents(of: program, limit: 1 << 24) else { fail(Text("reading this program")) }
        let copy = check(memfd_create("pod-init", MFD_CLOEXEC | MFD_ALLOW_SEALING), Text("making a file in memory"))
        var written = 0
        while written < content.count {
            written += content.withUnsafeBufferPointer { buffer in
                Int(
                    check(
                        Int32(write(copy, buffer.baseAddress.map { $0 + written }, content.count - written)),
                        Text("copying")
                    )
                )
            }
        }
        check(seal(copy), Text("sealing the copy"))
        var words: [UnsafeMutablePointer<CChar>?] = [Text("pod-init").leaked(), Text("sealed-bridge").leaked()]
        for argument in arguments { words.append(Text(argument).leaked()) }
        words.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [nil]
        _ = path(ofDescriptor: copy).withCString { execve($0, &words, &environment) }
        fail(Text("executing the copy"))
    }

    static func runSealed(_ arguments: [UnsafePointer<CChar>]) -> Never {
        Role.name = "bridge"
        guard arguments.count == 2, let pid = parseNumber(arguments[0]) else { refuse(Text("bridge: which machine?")) }
        let nothing = openFile(Text("/dev/null"), O_WRONLY)
        enter(pid)
        // Whoever may trace processes in there finds nothing in this one that the machine has not: no right, and no
        // descriptor but those of what it passes on.
        check(set_process_option(PR_SET_NO_NEW_PRIVS, 1), Text("giving up privileges"))
        check(keep_only_kill(), Text("giving up capabilities"))
        check(set_process_option(PR_SET_DUMPABLE, 0), Text("hiding"))
        _ = dup2(nothing, 2)
        _ = close_range(3, .max, 0)
        // A process is born into its namespace of processes.
        if check(fork(), Text("forking")) > 0 { _exit(0) }
        pass(connect(arguments[1]))
    }

    private static func enter(_ pid: Int32) {
        let process = Text("/proc/") + pid
        let root = openFile(process + "/root", O_RDONLY | O_DIRECTORY)
        let kinds: [(StaticString, Int32)] = [("user", CLONE_NEWUSER), ("mnt", CLONE_NEWNS), ("pid", CLONE_NEWPID)]
        let namespaces = kinds.map { (openFile(process + "/ns/" + $0.0, O_RDONLY), $0.1) }
        let own = link(Text("/proc/self/ns/user"))
        let hasUsers = own.flatMap { own in link(process + "/ns/user").map { !own.equals($0) } } ?? true
        for (namespace, kind) in namespaces where kind != CLONE_NEWUSER || hasUsers {
            check(setns(namespace, kind), Text("entering the machine"))
        }
        check(fchdir(root), Text("entering the machine's root"))
        check(chroot("."), Text("entering the machine's root"))
        guard hasUsers else { return }
        check(setgid(0), Text("becoming the machine's root"))
        check(setuid(0), Text("becoming the machine's root"))
    }

    private static func connect(_ path: UnsafePointer<CChar>) -> Int32 {
        let fd = check(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), Text("opening a socket"))
        var address = unix_address()
        let length = fill(&address, path)
        check(CMusl.connect(fd, &address, length), Text("reaching the machine's systemd"))
        return fd
    }

    private static func pass(_ systemd: Int32) -> Never {
        while true {
            var polled = [
                pollfd(fd: 0, events: Int16(POLLIN), revents: 0),
                pollfd(fd: systemd, events: Int16(POLLIN), revents: 0),
            ]
            if poll(&polled, 2, -1) < 0 { continue }
            if polled[0].revents != 0, !move(from: 0, to: systemd) { _exit(0) }
            if polled[1].revents != 0, !move(from: systemd, to: 1) { _exit(0) }
        }
    }

    /// Moves what is there; whether there may be more.
    private static func move(from source: Int32, to target: Int32) -> Bool {
        var count = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 16_384) { buffer, initialized in
            count = read(source, buffer.baseAddress, 16_384)
            initialized = max(count, 0)
        }
        var written = 0
        while written < count {
            let more = bytes.withUnsafeBufferPointer { buffer in
                write(target, buffer.baseAddress.map { $0 + written }, count - written)
            }
            if more <= 0 { return false }
            written += more
        }
        return count > 0
    }
}
