import CMusl

/// A start that `rkt run` has asked for and not systemd: the pod's machine is then below that command, in its context
/// and limits, and does not outlive it. The other side is `Pods/Foreground/`.
///
/// Words: `beside` or `scope`, which says where the machine's cgroup is, and the process of the command.
struct Foreground {
    private let parent: Int32
    private let isBeside: Bool
    /// A pipe out of which a byte comes when the machine's process is where it belongs: `y` when it is to tell machined
    /// of the machine.
    private static let gate: Int32 = 4

    /// What the words say; nil when it is systemd's start.
    init?(_ words: ArraySlice<UnsafePointer<CChar>>) {
        guard words.count == 2, let place = words.first, let number = words.last else { return nil }
        isBeside = equal(place, "beside")
        guard isBeside || equal(place, "scope"), let parent = parseNumber(number) else {
            refuse(Text("start: unknown place ") + place)
        }
        self.parent = parent
        endWithParent()
        // What systemd sees to else. A directory that is somebody's shall not be kept busy.
        _ = umask(0o022)
        check(chdir("/"), Text("entering /"))
    }

    /// Has the kernel kill this process when the command dies: nobody would hold the pod any more.
    private func endWithParent() {
        check(set_process_option(PR_SET_PDEATHSIG, UInt(SIGKILL)), Text("asking for the command's end"))
        if getppid() != parent { refuse(Text("the command that started the pod is gone")) }
    }

    /// Brings the machine's process, a child of the command by now, to where it belongs; what need not be there is done
    /// meanwhile.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - preparations: What is done on the way.
    /// - Returns: Whether the process is to tell machined.
    func enter(_ uuid: UnsafePointer<CChar>, whilePreparing preparations: () -> Void) -> Bool {
        endWithParent()
        if isBeside {
            // systemd-nspawn makes two cgroups below the one it is in, and there may be more pods in the caller's.
            let entered = Cgroup.enterChild(Text("rkt-") + uuid, preparing: DeviceFilter.attach)
            guard entered else { fail(Text("entering a cgroup below the caller's")) }
        }
        preparations()
        // The kernel has forgotten it where files were made as somebody else's.
        endWithParent()
        var byte: UInt8 = 0
        var count = 0
        repeat { count = read(Self.gate, &byte, 1) } while count < 0 && __errno_location().pointee == EINTR
        // The command says why.
        if count != 1 { _exit(ExitStatus.setup) }
        _ = close(Self.gate)
        return byte == 121
    }

    /// The limits of the caller's resources, which systemd-nspawn would set to its own.
    static func limits() -> [Text] {
        // In the order of their numbers.
        let names: [StaticString] = [
            "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
            "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
        ]
        var options: [Text] = []
        for (number, name) in names.enumerated() {
            var limit = resource_limit()
            if getrlimit(Int32(number), &limit) < 0 { continue }
            options.append(Text("--rlimit=") + name + "=" + word(limit.soft) + ":" + word(limit.hard))
        }
        return options
    }

    private static func word(_ limit: UInt) -> Text { limit == .max ? Text("infinity") : Text("") + limit }
}

/// The tree of cgroups, as far as this program changes it itself.
enum Cgroup {
    /// Brings this process into a cgroup below its own, made if it is missing.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - prepare: What is done with it before.
    /// - Returns: Whether that could be done.
    static func enterChild(_ name: Text, preparing prepare: (Int32) -> Void = { _ in }) -> Bool {
        guard
            let line = contents(Text("/proc/self/cgroup"), limit: 4096)?.split(separator: 10).last(where: {
                $0.count > 3 && equal($0[..<($0.startIndex + 3)], "0::")
            })
        else { return false }
        let path = Text("/sys/fs/cgroup") + Text(line[(line.startIndex + 3)...]) + "/" + name
        _ = path.withCString { mkdirat(AT_FDCWD, $0, 0o755) }
        guard let cgroup = openIfThere(path, O_RDONLY | O_DIRECTORY) else { return false }
        prepare(cgroup)
        guard let file = openIfThere(in: cgroup, Text("cgroup.procs"), O_WRONLY) else { return false }
        _ = close(cgroup)
        let count = write(file, "0", 1)
        _ = close(file)
        return count == 1
    }
}
