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
    ///   - warn: Called with what the user should know, as a sentence's end that begins with the pod.
    ///   - ended: Called when nothing of it runs any more.
    /// - Returns: The pod's exit status.
    /// - Throws: ``RktError`` when it could not be started, or an app's end is not known.
    func runBelow(
        _ pod: PodDirectory,
        means: StartAhead.Means,
        started: () -> Void,
        warn: (String) -> Void,
        ended: () async throws -> Void
    ) async throws -> Int32 {
        // `gc` sees that the pod is spoken for.
        let mark = try pod.directory.open("starting")
        try FileLock.mark(mark, name: "starting")
        let place = ForegroundPlace.ofThisProcess
        let machine = try ForegroundMachine(pod, in: place)
        let run = ForegroundRun(
            machine: machine,
            place: place,
            scope: ForegroundScope(uuid: pod.uuid, manager: means.manager),
            registration: ForegroundRegistration(of: pod, in: place, manager: means.manager)
        ) {
            await forgetMachine(of: pod.uuid, manager: means.manager, startsService: true)
        }
        let outcome: Result<ForegroundMachine.Ending, any Error>
        do {
            outcome = .success(
                try await run.untilEnded(
                    started: {
                        means.slot?.free()
                        started()
                    },
                    unregistered: { warn("is not registered as a machine: \($0)") }
                )
            )
        } catch {
            outcome = .failure(error)
        }
        means.slot?.free()
        try? pod.directory.remove("starting")
        machine.release()
        withExtendedLifetime(mark.rawValue) {}

        let isKnown = (try? pod.areAllEndsKnown()) ?? false
        let status = pod.exitStatus()
        try await ended()
        if status != 0 { return status }
        let ending = try outcome.get()
        if ending.isReady, isKnown { return status }
        let advice = "see journalctl -t \(PodNames.machine(pod.uuid))"
        throw RktError(.failed, "pod \"\(pod.uuid)\" \(Self.reason(ending)); \(advice)")
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
    let registration: ForegroundRegistration
    /// Has machined forget the machine, which is about to be another one of the same name.
    let forget: () async -> Void

    /// How long a connection is kept that nothing is expected from.
    private static let connectionPatience: Duration = .seconds(3)

    /// Runs the machine, again each time it reboots.
    ///
    /// - Parameters:
    ///   - started: Called when the apps have started for the first time.
    ///   - unregistered: Called with the reason when machined does not know the machine and should.
    /// - Returns: How it ended.
    /// - Throws: ``RktError`` when it could not be started.
    func untilEnded(started: () -> Void, unregistered: (String) -> Void) async throws -> ForegroundMachine.Ending {
        var isFirst = true
        var scope = scope
        while true {
            let ending = try await once(
                in: scope,
                started: isFirst ? started : {},
                unregistered: isFirst ? unregistered : { _ in }
            )
            isFirst = false
            guard ending.isReboot else { return ending }
            await forget()
            // Its controller is one of this bus, should that be another one by now.
            await scope.manager.close()
            scope = ForegroundScope(uuid: scope.uuid, manager: try await SystemdManager.connect())
        }
    }

    private func once(
        in scope: ForegroundScope,
        started: () -> Void,
        unregistered: (String) -> Void
    ) async throws -> ForegroundMachine.Ending {
        let (events, continuation) = AsyncStream.makeStream(of: ForegroundMachine.Event.self)
        let work = Task { [machine] in
            defer { continuation.finish() }
            return try await machine.run { continuation.yield($0) }
        }
        var attendant: Task<Void, any Error>?
        defer { attendant?.cancel() }
        var failure: (any Error)?
        var told: Task<String?, Never>?
        for await event in events {
            switch event {
            case .booting(let leader): told = Task { [registration] in await registration.register(leader: leader) }
            case .ready:
                started()
                if let reason = await told?.value { unregistered(reason) }
            case .forked(let pid, let gate):
                do {
                    if case .scope = place { try await scope.start(with: pid) }
                    attendant = attend(to: scope)
                    try gate.open(registers: await registration.isNspawns)
                } catch {
                    // The gate goes with the event, and the machine's process with the gate.
                    failure = error
                }
            }
        }
        let ending = try await work.value
        _ = await told?.value
        if case .scope = place, !ending.isReady { await scope.discard() }
        if let failure, !ending.isStopped { throw failure }
        return ending
    }

    private func attend(to scope: ForegroundScope) -> Task<Void, any Error> {
        Task { [place] in
            switch place {
            case .scope: try await scope.passOnStop()
            case .beside:
                // The bus has only so many for one user, and a host may have hundreds of pods.
                try await OwnThread.wait(until: .now + Self.connectionPatience)
                await scope.manager.close()
            }
        }
    }
}
