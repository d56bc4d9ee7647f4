extension RuntimeBundle {
    /// What an app finds mounted besides its root.
    static func mounts(of pod: PodPlan) -> [Mount] {
        if pod.stage1 == .fly { return hostMounts }
        // A machine's own proc has parts that are hidden, and in a user namespace no other can be mounted then.
        let proc =
            pod.stage1 == .nspawn
            ? Mount("/proc", "bind", "/proc", ["rbind", "nosuid", "noexec", "nodev"])
            : Mount("/proc", "proc", "proc", ["nosuid", "noexec", "nodev"])
        let own = [
            proc,
            // Executable, as memory mapped from /dev/zero may have to be.
            Mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            Mount(
                "/dev/pts",
                "devpts",
                "devpts",
                ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
            ),
            Mount("/dev/shm", "tmpfs", "shm", ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            Mount("/dev/mqueue", "mqueue", "mqueue", ["nosuid", "noexec", "nodev"]),
        ]
        let cgroups = Mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"])
        let sys =
            pod.stage1 == .nspawn
            ? Mount("/sys", "bind", "/sys", ["rbind", "rro", "nosuid", "noexec", "nodev"])
            : Mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])
        return own + [sys, cgroups]
    }

    /// What fly shows of the host, as rkt 1's did: all that is mounted there, and will be; nothing goes the other way.
    private static var hostMounts: [Mount] {
        // With the flags they have on every host: crun takes those away that it is not told.
        let copy = ["rbind", "rslave", "nosuid"]
        return [
            Mount("/proc", "bind", "/proc", copy + ["noexec", "nodev"]),
            Mount("/sys", "bind", "/sys", copy + ["noexec", "nodev"]),
            Mount("/dev", "bind", "/dev", copy),
            Mount("/tmp", "tmpfs", "tmpfs", ["nosuid", "nodev", "mode=1777"]),
        ]
    }

    /// The namespaces: those the app has of its own, and the pod's.
    static func namespaces(of pod: PodPlan) -> [Linux.Namespace] {
        if pod.stage1 == .fly { return [Linux.Namespace(type: "mount")] }
        let own = [Linux.Namespace(type: "mount"), Linux.Namespace(type: "cgroup")]
        // A machine's systemd is in the pod's already.
        if pod.stage1 == .nspawn { return own }
        var shared = [("pid", "pid"), ("ipc", "ipc"), ("uts", "uts")]
        if pod.network == .none { shared.append(("network", "net")) }
        return own + shared.map { Linux.Namespace(type: $0.0, path: "/run/rkt/ns/\($0.1)") }
    }

    /// The kernel's interfaces that an app does not see: those that rkt 1.30 hid, and later ones.
    ///
    /// Of rkt 1.30's list, `/sys/fs` is missing: the app's own cgroup is below it. What it makes read-only below
    /// `/sys` is so with all of `/sys`.
    static let maskedPaths = [
        "/proc/acpi", "/proc/asound", "/proc/config.gz", "/proc/interrupts", "/proc/kallsyms", "/proc/kcore",
        "/proc/keys", "/proc/kmem", "/proc/latency_stats", "/proc/mem", "/proc/sched_debug", "/proc/scsi",
        "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap", "/sys/firmware", "/sys/hypervisor",
        "/sys/module", "/sys/power",
    ]
    /// The kernel's interfaces that an app sees and may not change.
    static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
}
