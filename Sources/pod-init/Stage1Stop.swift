import CMusl

/// ExecStop= of a pod whose stage1 is an image: has the stage1 end the pod, unless it has ended by itself, and records
/// how it ended.
struct Stage1Stop {
    static func run(_ pod: Int32, uuid: UnsafePointer<CChar>, configuration: PodConfiguration) -> Never {
        Role.name = "pod-stop"
        guard let main = getenv("MAINPID").flatMap({ parseNumber($0) }), main > 0 else {
            let isAsked = exists(in: pod, Text(PodState.stopping))
            record(in: pod, isAsked ? 0 : AppEnd.exitCode())
        }
        PodState.markStopping(pod)
        let stop = Stage1Stop(process: process_descriptor(main), isForced: exists(in: pod, Text("status/FORCE")))
        if stop.process >= 0, !stop.end(uuid, configuration) { record(in: pod, SIGKILL) }
        // How it ended, only systemd knows; it was asked to.
        record(in: pod, 0)
    }

    /// The stage1's main process.
    private let process: Int32
    /// Whether nothing is to be waited for.
    private let isForced: Bool

    /// How long the pod has: less than systemd gives this program (TimeoutStopSec=).
    private var patience: UInt { isForced ? 10_000_000 : 110_000_000 }

    /// Ends the main process.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - configuration: What its `runtime-config` says.
    /// - Returns: Whether it has ended without being killed.
    private func end(_ uuid: UnsafePointer<CChar>, _ configuration: PodConfiguration) -> Bool {
        let deadline = monotonic_time() + patience
        if !ask(uuid, configuration, until: deadline), !isForced { _ = signal_process(process, SIGTERM) }
        if isForced ? Self.hasEnded(process) : Self.wait(for: process, until: deadline) { return true }
        if !isForced { report(Text("the pod does not end: it is killed")) }
        _ = signal_process(process, SIGKILL)
        _ = Self.wait(for: process, until: monotonic_time() + 5_000_000)
        return false
    }

    /// Runs the entry point that stops a pod where the stage1 has mounted its root; whether there is one and all went
    /// well.
    private func ask(_ uuid: UnsafePointer<CChar>, _ configuration: PodConfiguration, until deadline: UInt) -> Bool {
        guard let path = link(Text("/run/rkt/pods/") + uuid) else { return false }
        let stage1 = Stage1Root(path, configuration)
        guard let program = stage1.program("Stage1Stop") else { return false }
        let child = check(fork(), Text("forking"))
        if child == 0 {
            check(setns(process, CLONE_NEWNS), Text("entering the pod's mount namespace"))
            stage1.become(program, isForced ? [Text("--force")] : [], uuid: uuid)
        }
        let held = process_descriptor(child)
        guard held >= 0, Self.wait(for: held, until: deadline) else { return false }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, __errno_location().pointee == EINTR {}
        if status != 0 { report(Text("the stage1's entry point ") + program + " has failed") }
        return status == 0
    }

    private static func hasEnded(_ process: Int32) -> Bool { PodStart.isReadable(process) }

    private static func wait(for process: Int32, until deadline: UInt) -> Bool {
        while true {
            let now = monotonic_time()
            guard now < deadline else { return false }
            var polled = [pollfd(fd: process, events: Int16(POLLIN), revents: 0)]
            if poll(&polled, 1, Int32((deadline - now) / 1000 + 1)) == 1 { return true }
        }
    }

    private static func record(in pod: Int32, _ code: Int32) -> Never {
        EndRecords.recordAll(in: pod, code) { Stage1Root.status(of: $0, in: pod) }
        _exit(0)
    }
}
