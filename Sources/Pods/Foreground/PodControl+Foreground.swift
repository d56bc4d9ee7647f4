internal import Diagnostics
internal import LinuxOS
internal import SystemdClient

extension PodControl {
    /// Runs a pod below this process until it has ended.
    ///
    /// - Parameters:
    ///   - pod: The pod, in the phase `run`.
    ///   - means: What was got for its start.
    ///   - started: Called when its apps have started.
    ///   - ended: Called when nothing of it runs any more.
    /// - Returns: The pod's exit status.
    /// - Throws: ``RktError`` when it could not be started, or an app's end is not known.
    func runBelow(
        _ pod: PodDirectory,
        _ means: StartAhead.Means,
        _ started: () -> Void,
        _ ended: () async throws -> Void
    ) async throws -> Int32 {
        // `gc` sees that the pod is spoken for.
        let mark = try pod.directory.open("starting")
        try FileLock.mark(mark, name: "starting")
        let place = ForegroundPlace.ofThisProcess
        let machine = try ForegroundMachine(pod, in: place)
        let run = ForegroundRun(machine: machine, place: place, scope: .init(uuid: pod.uuid, manager: means.manager))
        let outcome: Result<ForegroundMachine.Ending, any Error>
        do {
            outcome = .success(
                try await run.untilEnded {
                    means.slot?.free()
                    started()
                }
            )
        } catch {
            outcome = .failure(error)
        }
        means.slot?.free()
        try? pod.directory.remove("starting")
        machine.release()
        withExtendedLifetime(mark.rawValue) {}

        let isKnown = try pod.areAllEndsKnown()
        let status = pod.exitStatus()
        try await ended()
        let ending = try outcome.get()
        // Its systemd-nspawn could not do it any more.
        if case .killed = ending.machine { await forgetMachine(of: pod.uuid, manager: means.manager) }
        if status != 0 || (ending.isReady && isKnown) { return status }
        throw RktError(.failed, "pod \"\(pod.uuid)\" \(Self.reason(ending))")
    }

    private static func reason(_ ending: ForegroundMachine.Ending) -> String {
        switch ending.machine {
        case .killed(let signal): return "has ended early: its systemd-nspawn was killed by signal \(signal)"
        case .exited(let status) where ending.isReady:
            return "has ended early: its machine went down with status \(status), and not all of its apps had ended"
        case .exited, nil:
            return ending.isStopped ? "was stopped before it had started" : "could not be started"
        }
    }
}

/// The life of a pod below this process, reboots included.
private struct ForegroundRun {
    let machine: ForegroundMachine
    let place: ForegroundPlace
    let scope: ForegroundScope
    /// Begun at once: machined takes as long as the rest.
    let claim: Task<UnitClaim?, Never>

    init(machine: ForegroundMachine, place: ForegroundPlace, scope: ForegroundScope) {
        self.machine = machine
        self.place = place
        self.scope = scope
        claim = Task {
            guard case .beside(_, let unit) = place else { return nil }
            return await UnitClaim(of: unit, manager: scope.manager)
        }
    }

    /// How long a connection is kept that nothing is expected from.
    private static let connectionPatience: Duration = .seconds(3)

    /// Runs the machine, again each time it reboots.
    ///
    /// - Parameter started: Called when the apps have started for the first time.
    /// - Returns: How it ended.
    /// - Throws: ``RktError`` when it could not be started.
    func untilEnded(started: () -> Void) async throws -> ForegroundMachine.Ending {
        let attendant = Task {
            switch place {
            case .scope: try await scope.passOnStops()
            case .beside:
                // The bus has only so many for one user, and a host may have hundreds of pods.
                try await OwnThread.wait(until: .now + Self.connectionPatience)
                await scope.manager.close()
            }
        }
        defer { attendant.cancel() }
        var hasStarted = false
        while true {
            let ending = try await once {
                if !hasStarted { started() }
                hasStarted = true
            }
            guard ending.isReboot else { return ending }
        }
    }

    private func once(ready: () -> Void) async throws -> ForegroundMachine.Ending {
        let (events, continuation) = AsyncStream.makeStream(of: ForegroundMachine.Event.self)
        let machine = machine
        let work = Task {
            defer { continuation.finish() }
            return try await machine.run { continuation.yield($0) }
        }
        var failure: (any Error)?
        for await event in events {
            switch event {
            case .ready: ready()
            case .forked(let pid, let gate):
                do {
                    if case .scope = place { try await scope.start(with: pid) }
                    let isGranted = await claim.value?.isGranted ?? true
                    try gate.open(isRegistered: isGranted)
                } catch {
                    // The gate goes with the event, and the machine's process with the gate.
                    failure = error
                }
            }
        }
        let ending = try await work.value
        if let failure, !ending.isStopped { throw failure }
        return ending
    }
}
