internal import Glibc

/// The kernel's lock on processes that move from cgroup to cgroup.
public enum CgroupMoves {
    /// Lets the wait that precedes a move begin now, on a thread of its own.
    ///
    /// systemd moves every process it starts into its unit's cgroup. The kernel lets the first move after a while wait
    /// for a grace period of RCU, 10 to 25 ms; those that follow soon find it passed. Whoever is about to have units
    /// started can let it pass meanwhile, by moving itself to where it is.
    public static func anticipate() {
        Task { try await OwnThread.run { _ in moveNowhere() } }
    }

    private static func moveNowhere() {
        // "0::/PATH" is the cgroup in the unified hierarchy.
        guard let groups = try? Directory(path: "/proc/self").readText("cgroup", limit: 65_536),
            let own = groups.split(separator: "\n").first(where: { $0.hasPrefix("0::/") })
        else { return }
        let file = open("/sys/fs/cgroup\(own.dropFirst(3))/cgroup.procs", O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { return }
        _ = write(file, "0", 1)
        close(file)
    }
}
