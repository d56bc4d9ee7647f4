import CMusl

/// A user namespace that nobody lives in: the kernel takes its ids for those of a mount.
enum IDMapping {
    /// Makes one.
    ///
    /// - Parameters:
    ///   - base: The host's id for its id 0.
    ///   - count: How many ids it has.
    /// - Returns: Its descriptor.
    static func userNamespace(base: UInt32, count: Int32) -> Int32 {
        let gate = makePipe()
        let child = check(fork(), Text("forking"))
        if child == 0 {
            _ = close(gate.reader)
            if unshare(CLONE_NEWUSER) < 0 { _exit(1) }
            _ = write(gate.writer, "u", 1)
            var nothing = pollfd(fd: -1, events: 0, revents: 0)
            while true { _ = poll(&nothing, 1, -1) }
        }
        _ = close(gate.writer)
        var byte: UInt8 = 0
        let isMade = read(gate.reader, &byte, 1) == 1
        _ = close(gate.reader)
        defer {
            _ = kill(child, SIGKILL)
            _ = waitpid(child, nil, 0)
        }
        guard isMade else { refuse(Text("this kernel makes no user namespaces: the pod cannot have users of its own")) }
        let map = Text("0 ") + Int32(bitPattern: base) + " " + count + "\n"
        for name in ["/uid_map", "/gid_map"] as [StaticString] {
            let path = Text("/proc/") + child + name
            let file = openFile(path, O_WRONLY)
            let written = map.withCString { write(file, $0, map.count) }
            if written != map.count { fail(Text("writing ") + path) }
            _ = close(file)
        }
        return openFile(Text("/proc/") + child + "/ns/user", O_RDONLY)
    }
}
