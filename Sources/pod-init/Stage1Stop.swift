import CMusl

/// ExecStop= of a pod whose stage1 is an image: has the stage1 end the pod, unless it has ended by itself, and records how it
/// ended.
enum Stage1Stop {
    static func run(_ pod: Int32, uuid: UnsafePointer<CChar>, configuration: PodConfiguration) -> Never {
        Role.name = "pod-stop"
        guard let main = getenv("MAINPID").flatMap({ parseNumber($0) }), main > 0 else {
            let isAsked = exists(in: pod, Text(PodState.stopping))
            record(in: pod, isAsked ? 0 : AppEnd.exitCode())
        }
        PodState.markStopping(pod)
        let process = process_descriptor(main)
        if process >= 0 { end(process, uuid: uuid, configuration: configuration) }
        // How it ended, only systemd knows; it was asked to.
        record(in: pod, 0)
    }

    /// Less than systemd gives this program (TimeoutStopSec=), in milliseconds.
    private static let patience: Int32 = 110_000

    /// Ends a stage1's main process.
    private static func end(_ process: Int32, uuid: UnsafePointer<CChar>, configuration: PodConfiguration) {
        let deadline = monotonic_time() + UInt(patience) * 1000
        if !ask(process, uuid: uuid, configuration: configuration, until: deadline) {
            _ = signal_process(process, SIGTERM)
        }
        if wait(for: process, until: deadline) { return }
        report(Text("the pod does not end: it is killed"))
        _ = signal_process(process, SIGKILL)
        _ = wait(for: process, until: monotonic_time() + 5_000_000)
    }

    /// Runs the entry point that stops a pod where the stage1 has mounted its root; whether there is one and all went well.
    private static func ask(
        _ process: Int32,
        uuid: UnsafePointer<CChar>,
        configuration: PodConfiguration,
        until deadline: UInt
    ) -> Bool {
        guard let path = link(Text("/run/rkt/pods/") + uuid) else { return false }
        let stage1 = Stage1Root(path, configuration)
        guard let program = stage1.program("Stage1Stop") else { return false }
        let child = check(fork(), Text("forking"))
        if child == 0 {
            check(setns(process, CLONE_NEWNS), Text("entering the pod's mount namespace"))
            stage1.become(program, arguments: nil, uuid: uuid)
        }
        let held = process_descriptor(child)
        guard held >= 0, wait(for: held, until: deadline) else { return false }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, __errno_location().pointee == EINTR {}
        if status != 0 { report(Text("the stage1's entry point ") + program + " has failed") }
        return status == 0
    }

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
