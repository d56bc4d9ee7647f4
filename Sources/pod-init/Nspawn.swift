import CMusl

/// systemd-nspawn and the systemd in the machine: what they are told.
struct Nspawn {
    private let pod: PodRecords
    private let configuration: PodConfiguration
    private let isForeground: Bool
    /// Whether it tells machined of the machine.
    var registers = true

    init(_ pod: PodRecords, _ configuration: PodConfiguration, isForeground: Bool) {
        self.pod = pod
        self.configuration = configuration
        self.isForeground = isForeground
    }

    /// Where the machine's systemd finds units: what was generated, and what is set while it runs.
    private static let unitPath: StaticString =
        "/run/systemd/system.control:/run/systemd/transient:/etc/systemd/system.control:/etc/systemd/system:/run/systemd/system"

    /// Becomes systemd-nspawn.
    ///
    /// - Parameter address: The socket on which it tells how far it is.
    func become(notifying address: Text) -> Never {
        let program: StaticString = "/usr/bin/systemd-nspawn"
        var arguments: [UnsafeMutablePointer<CChar>?] = ([Text("systemd-nspawn")] + options() + payload)
            .map { $0.leaked() }
        arguments.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [
            Text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin").leaked(),
            (Text("NOTIFY_SOCKET=") + address).leaked(),
            // What `machinectl` shows as the machine's service.
            Text("SYSTEMD_NSPAWN_CONTAINER_SERVICE=rkt").leaked(),
            // The tree is ours alone.
            Text("SYSTEMD_NSPAWN_LOCK=0").leaked(),
        ]
        // It has been compiled before: see `MachineFilter`.
        if hasFilter {
            environment.append(Text("SYSTEMD_SECCOMP=0").leaked())
        }
        // Its words for who watches it are for the journal; below a command they are that one's.
        if isForeground { environment.append(Text("SYSTEMD_LOG_LEVEL=warning").leaked()) }
        environment.append(nil)
        _ = execve(Text(program).leaked(), &arguments, &environment)
        fail(Text("running ") + program + " (the package systemd-container)")
    }

    private func options() -> [Text] {
        var options = [
            // A file beside or in an image must not say what a pod may do.
            Text("--settings=no"), Text("--quiet"), Text("--keep-unit"),
            Text("--register=") + (registers && Self.hasMachined ? Text("yes") : Text("no")),
            Text("--notify-ready=yes"), Text("--machine=rkt-") + pod.uuid, Text("--uuid=") + pod.uuid,
            Text("--hostname=") + Text(configuration.value("Hostname")), Text("--directory=") + pod.path + "/rootfs",
            Text("--link-journal=no"), Text("--console=read-only"), Text("--resolv-conf=off"), Text("--timezone=off"),
            // poweroff.target
            Text("--kill-signal=SIGRTMIN+4"), Text("--setenv=SYSTEMD_UNIT_PATH=") + Self.unitPath,
            Text("--setenv=SYSTEMD_GENERATOR_PATH=/nonexistent"),
            Text("--setenv=SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/nonexistent"),
        ]
        if isForeground {
            options += Foreground.limits()
        } else {
            // Not that of `pod@.service`, which protects what is small.
            options.append(Text("--oom-score-adjust=0"))
        }
        if configuration.hasOwnNetwork { options.append(Text("--private-network")) }
        if let capabilities = configuration.optional("Capabilities") {
            options.append(Text("--capability=") + Text(capabilities))
        } else {
            // A file that cannot be removed would keep the pod from being so.
            options.append(Text("--drop-capability=CAP_LINUX_IMMUTABLE"))
        }
        if let base = configuration.optional("UserRange") {
            options.append(Text("--private-users=") + Text(base) + ":65536")
            options.append(Text("--private-users-ownership=off"))
        }
        return options
    }

    /// What it executes as PID 1, instead of what it would find by `--boot`, and what that hands to systemd, as if on a
    /// kernel's command line.
    private var payload: [Text] {
        [
            Text("/rkt/pod-init"), Text("machine"), Text(hasFilter ? Self.filtered : "-"),
            Text("systemd.show_status=0"), Text("systemd.log_target=journal"),
        ]
    }

    /// Whether the machine's first process puts a filter of system calls into force, and not systemd-nspawn.
    private var hasFilter: Bool { exists(in: AT_FDCWD, pod.path + "/rootfs" + MachineFilter.path) }
    private static let filtered: StaticString = "filtered"

    /// Becomes the machine's systemd, which the kernel kills with systemd-nspawn, its parent: nobody would hold the
    /// machine any more.
    static func becomeSystemd(_ words: [UnsafePointer<CChar>]) -> Never {
        check(set_process_option(PR_SET_PDEATHSIG, UInt(SIGKILL)), Text("asking for the end of systemd-nspawn"))
        if let word = words.first, equal(word, Self.filtered) { MachineFilter.apply() }
        var arguments: [UnsafeMutablePointer<CChar>?] = [Text("/usr/lib/systemd/systemd").leaked()]
        for word in words.dropFirst() { arguments.append(Text(word).leaked()) }
        arguments.append(nil)
        // systemd-nspawn adds a locale of its own for what is no systemd.
        _ = unsetenv("LANG")
        _ = execve("/usr/lib/systemd/systemd", &arguments, whole_environment())
        fail(Text("running /usr/lib/systemd/systemd"))
    }

    /// Whether machines can be registered; a host without machined has pods all the same. By its files: to ask systemd
    /// takes longer.
    private static var hasMachined: Bool {
        let unit: StaticString = "/systemd/system/systemd-machined.service"
        for place in ["/etc", "/run"] as [StaticString] where link(Text(place) + unit)?.equals("/dev/null") ?? false {
            return false
        }
        return exists(in: AT_FDCWD, Text("/usr/lib") + unit) || exists(in: AT_FDCWD, Text("/lib") + unit)
    }
}
