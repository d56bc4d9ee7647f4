import FoundationEssentials
import Glibc
import Manifests
import Testing
import UnitGen

/// What the launcher of an app has around it: nothing of this is seen outside.
private enum PodStandIn {
    static let works: Bool = {
        guard geteuid() == 0, Command.exists("/usr/bin/crun"), Command.exists("/bin/busybox") else { return false }
        return (try? Command.run("/usr/bin/unshare", namespaces + ["-c", setup]).status) == 0
    }()

    static let namespaces = [
        "--mount", "--cgroup", "--pid", "--ipc", "--uts", "--net", "--fork", "--kill-child=KILL", "--mount-proc",
        "/bin/sh",
    ]
    static let setup = """
        set -e
        mount --make-rprivate /
        mount -t cgroup2 none /sys/fs/cgroup
        mount -t tmpfs none /run
        mkdir -p /run/rkt/ns
        for name in pid ipc uts net; do
            : > /run/rkt/ns/$name
            mount --bind /proc/self/ns/$name /run/rkt/ns/$name
        done
        """
}

/// Bundles as generated, run by a real OCI runtime in namespaces that stand for a pod's.
@Suite(
    .enabled(
        if: PodStandIn.works,
        "needs root that may make namespaces and mount cgroup2, /usr/bin/crun and a static /bin/busybox"
    ),
    .serialized,
    .timeLimit(.minutes(10))
)
struct RuntimeTests {
    /// Runs an app in a root with nothing but busybox.
    private func run(_ app: AppPlan, in sample: String) throws -> Command.Result {
        let bundle = try ScratchDirectory()
        defer { bundle.remove() }
        for name in ["proc", "dev", "sys", "bin", "tmp"] {
            let path = bundle.path(of: "rootfs/\(name)")
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        }
        // By another process: a test beside this one that forks would hold the file open for writing for a moment.
        _ = try Command.run("/bin/cp", ["/bin/busybox", bundle.path(of: "rootfs/bin/busybox")])
        let configuration = try Samples.pod(sample, apps: [app]).runtimeConfiguration(for: app)
        try bundle.write(String(decoding: configuration, as: UTF8.self), to: "config.json")
        let start = "cd \"$1\" && exec crun --root /run/crun --cgroup-manager=disabled run app"
        let arguments = PodStandIn.namespaces + ["-c", "\(PodStandIn.setup)\n\(start)", "sh", bundle.path(of: "")]
        return try Command.run("/usr/bin/unshare", arguments)
    }

    private func app(_ sample: String, script: String) throws -> AppPlan {
        var app = try Samples.app(sample)
        app.capabilities = app.capabilities.filter { Capability.defaults.contains($0) }
        app.arguments = ["/bin/busybox", "sh", "-c", script]
        return app
    }

    @Test(arguments: ["redis", "host", "fly"])
    func theAppIsWhoItIsPlannedToBe(sample: String) throws {
        let fields = "'^(CapBnd|CapEff|CapAmb|Seccomp|NoNewPrivs):'"
        var plan = try app(sample, script: "busybox id; umask; busybox grep -E \(fields) /proc/self/status")
        plan.environment = [("PATH", "/bin")]
        let result = try run(plan, in: sample)
        #expect(result.status == 0)
        let identity = sample == "redis" ? "uid=999 gid=1000 groups=5,27" : "uid=0 gid=0"
        let bounding = "00000000a80425fb"
        let effective = sample == "redis" ? "0000000000000000" : bounding
        #expect(
            result.output == """
                \(identity)
                0022
                CapEff:\t\(effective)
                CapBnd:\t\(bounding)
                CapAmb:\t0000000000000000
                NoNewPrivs:\t\(sample == "redis" ? 1 : 0)
                Seccomp:\t\(sample == "fly" ? 0 : 2)

                """
        )
    }

    @Test func everyArgumentAndVariableArrivesByteForByte() throws {
        var random = SeededGenerator(seed: 12)
        var plan = try app("redis", script: "busybox cat /proc/$$/cmdline /proc/$$/environ; :")
        plan.arguments += (0..<200).map { _ in random.text(maximum: 12).replacing("\0", with: "") }
        plan.environment = (0..<100).map { ("V\($0)", random.text(maximum: 12).replacing("\0", with: "")) }
        // The runtime adds a HOME where there is none.
        plan.environment += [("PATH", "/bin"), ("HOME", "/")]
        let expected = plan.arguments + plan.environment.map { "\($0.0)=\($0.1)" }
        let result = try run(plan, in: "redis")
        #expect(result.status == 0)
        #expect(result.bytes == expected.flatMap { Array($0.utf8) + [0] })
    }

    @Test func theKernelIsOutOfReach() throws {
        let attempts = [
            "echo x > /file", "echo x > /sys/kernel/file", "echo 1 > /proc/sys/kernel/sysrq", "busybox unshare -U true",
            "busybox mount -t tmpfs none /tmp", "busybox head -c 1 /proc/kcore", "busybox chroot / true",
            "busybox mknod /dev/x b 8 0",
        ]
        let script = attempts.map { "(\($0)) 2>/dev/null && echo \"worked: \($0)\"" }.joined(separator: "\n") + "\ntrue"
        var plan = try app("redis", script: script)
        plan.environment = [("PATH", "/bin")]
        let result = try run(plan, in: "redis")
        #expect(result.status == 0)
        #expect(result.output == "")
    }

    @Test func flyCopiesTheHostsMountsAsSlaves() throws {
        var plan = try app("fly", script: "busybox cat /proc/self/mountinfo")
        plan.environment = [("PATH", "/bin")]
        let result = try run(plan, in: "fly")
        #expect(result.status == 0)
        let mounts = result.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
        #expect(mounts.map { $0[4] }.contains("/sys/fs/cgroup"))
        #expect(!mounts.contains { $0.contains { $0.hasPrefix("shared:") } })
        #expect(mounts.last?[4] == "/tmp")
    }

    @Test func whatAnAppNeedsIsThere() throws {
        let script = """
            set -e
            echo x > /dev/null
            echo x > /dev/shm/file
            echo x > /tmp/file
            busybox head -c 1 /dev/urandom > /dev/null
            busybox test -c /dev/ptmx
            busybox test -r /sys/fs/cgroup/cgroup.procs
            busybox ls /dev/pts /dev/mqueue /proc/self/fd > /dev/null
            """
        var plan = try app("host", script: script)
        plan.environment = [("PATH", "/bin")]
        let result = try run(plan, in: "host")
        #expect(result.output == "")
        #expect(result.status == 0)
    }

    @Test func theExitStatusIsTheApps() throws {
        #expect(try run(try app("redis", script: "exit 7"), in: "redis").status == 7)
    }
}
