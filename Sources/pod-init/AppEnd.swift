import CMusl

/// ExecStopPost= of an app's unit on the host: records the app's end for the pod, unless the app is about to be
/// restarted.
///
/// Arguments: UUID APP DATA-DIRECTORY. systemd says how the app ended: SERVICE_RESULT, EXIT_CODE, EXIT_STATUS.
enum AppEnd {
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        guard arguments.count >= 3 else { refuse(Text("ended: too few arguments")) }
        let uuid = arguments[0]
        let app = arguments[1]
        let place = PodPlace(uuid, data: arguments[2])
        let pod = openFile(place.path, O_RDONLY | O_DIRECTORY)
        // Without records the pod has not come to run: nothing to tell.
        guard let status = openIfThere(in: pod, Text("status"), O_RDONLY | O_DIRECTORY) else { _exit(0) }

        RuntimeContainer.removeState(of: Text(uuid) + "-" + app)
        let code = exitCode()
        let stopping = exists(in: pod, Text(PodState.stopping))
        let outlook = stopping ? nil : UnitOutlook(of: place.unit(Text(app)), code: code)
        if outlook?.willRestart == true {
            // Unless systemd changes its mind: then that is how it ended.
            EndRecords.note(in: status, app: app, code)
            _exit(0)
        }

        let failed = hasFailed(outlook, code: code)
        EndRecords.record(in: pod, status, app: Text(app), code, isFailure: failed)
        // The pod ends when an app fails. While it starts, pod-start sees to that: it looks at the record after
        // it has removed the mark, so that one of the two does.
        if failed, !stopping, !exists(in: pod, Text("starting")), !PodState.allEnded(pod) {
            PodState.systemctl([Text("stop"), Text("--no-block"), Text("pod@") + uuid + ".service"])
        }
        _exit(0)
    }

    /// Whether the end is a failure of the pod's. While the pod is being stopped (no outlook) apps end as they do, if
    /// they end in time.
    private static func hasFailed(_ outlook: UnitOutlook?, code: Int32) -> Bool {
        guard let outlook else { return getenv("SERVICE_RESULT").map { equal($0, "timeout") } ?? false }
        guard getenv("SERVICE_RESULT").map({ equal($0, "success") }) ?? false else { return true }
        // For systemd these signals are a good end; for a pod only when they are how a unit is stopped. Others are one
        // where the unit has been told so (SuccessExitStatus=).
        let killed = getenv("EXIT_CODE").map { equal($0, "killed") } ?? false
        let clean = [SIGHUP, SIGINT, SIGPIPE, SIGTERM]
        return killed && clean.contains(code) && !outlook.isAskedToStop
    }

    /// The exit status of the unit's main process as rkt 1 counted it: the number of the signal that killed it, if
    /// one did.
    static func exitCode() -> Int32 {
        guard let status = getenv("EXIT_STATUS") else { return ExitStatus.setup }
        if let number = parseNumber(status) { return number }
        let names: [(StaticString, Int32)] = [
            ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("BUS", 7), ("FPE", 8),
            ("KILL", 9), ("USR1", 10), ("SEGV", 11), ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15),
            ("STKFLT", 16), ("XCPU", 24), ("XFSZ", 25), ("VTALRM", 26), ("PROF", 27), ("IO", 29), ("PWR", 30),
            ("SYS", 31),
        ]
        for (name, number) in names where equal(status, name) { return number }
        let realTime: StaticString = "RTMIN+"
        let isRealTime = realTime.withUTF8Buffer { prefix in
            for (index, byte) in prefix.enumerated() where status[index] != CChar(bitPattern: byte) { return false }
            return true
        }
        return isRealTime ? SIGRTMIN + (parseNumber(UnsafePointer(status + 6)) ?? 0) : ExitStatus.setup
    }
}
