import CMusl

/// The watch over the apps of a pod that is a machine (ExecStart= of its `rkt-ends.service`): records how they end, and ends
/// the machine behind the last of them or the first that fails.
///
/// One process for all: systemd tells of every unit on its own socket, while an ExecStopPost= of each app would take systemd
/// as long as the app's start. It is systemd that knows how an app has ended: whoever watches later, as after a kill, sees
/// the same, unless the app has been started again.
///
/// Arguments: none.
final class MachineWatch {
    private let pod: Int32
    private let status: Int32
    private let apps: [(name: Text, unit: Text)]
    /// The apps whose units have changed since they were looked at.
    private var changed: [Bool]
    private var systemd: BusConnection?
    private var hasEndedMachine = false

    private static let patience: Int32 = 25_000

    static func run() -> Never {
        var terminations = signal_set()
        _ = sigaddset(&terminations, SIGTERM)
        check(sigprocmask(SIG_SETMASK, &terminations, nil), Text("blocking signals"))
        let signals = check(signalfd(-1, &terminations, SFD_CLOEXEC | SFD_NONBLOCK), Text("opening the signals"))
        let watch = MachineWatch()
        let interruption = (fd: signals, handler: { watch.finish(signals) })
        guard let systemd = BusConnection.systemd(interruption) else {
            refuse(Text("cannot reach the machine's systemd"))
        }
        watch.systemd = systemd
        watch.follow()
    }

    private init() {
        pod = openFile(Text("/rkt"), O_RDONLY | O_DIRECTORY)
        status = openFile(in: pod, Text("status"), O_RDONLY | O_DIRECTORY)
        let directory = openFile(in: pod, Text("apps"), O_RDONLY | O_DIRECTORY)
        var found: [(name: Text, unit: Text)] = []
        forEachEntry(of: directory) { name, _ in found.append((name, SystemdUnit.path(name + ".service"))) }
        _ = close(directory)
        apps = found
        changed = found.map { _ in true }
    }

    /// Looks at all that changes, until systemd stops this, or executes itself anew, which ends the connection: then it starts
    /// this again.
    private func follow() -> Never {
        while true {
            lookAtChanged()
            guard let message = next(patience: -1) else { _exit(0) }
            note(message)
            while let more = next(patience: 0) { note(more) }
        }
    }

    /// The machine is going down and the apps are down: whatever has not been seen yet.
    private func finish(_ signals: Int32) {
        var information = signal_information()
        _ = read(signals, &information, 128)
        for index in apps.indices { changed[index] = true }
        lookAtChanged()
        _exit(0)
    }

    // MARK: Talking to systemd

    private func next(patience: Int32) -> BusMessage? {
        guard let systemd, case .message(let message) = systemd.next(patience: patience) else { return nil }
        return message
    }

    private func note(_ message: BusMessage) {
        for (index, app) in apps.enumerated() where message.isSignal(of: app.unit) { changed[index] = true }
    }

    /// Asks some questions at once; ends the program when systemd does not answer.
    ///
    /// - Returns: The answers; nil for what was refused.
    private func ask(_ questions: [BusCall]) -> [BusMessage?] {
        guard let systemd else { return [] }
        return questions.map { systemd.send($0) }
            .map { serial in
                while let message = next(patience: Self.patience) {
                    if message.answers == serial { return message.isError ? nil : message }
                    note(message)
                }
                refuse(Text("the machine's systemd does not answer"))
            }
    }

    // MARK: Looking

    /// Records the ends that can be seen, and ends the machine when that is due.
    private func lookAtChanged() {
        while true {
            let indices = apps.indices.filter { changed[$0] }
            if indices.isEmpty { break }
            for index in indices { changed[index] = false }
            let down = areDown(indices)
            let ended = indices.filter { down.contains($0) && !exists(in: status, apps[$0].name) }
            if !ended.isEmpty { record(ended) }
        }
        endMachine()
    }

    /// Those of some apps that are down and are not about to be started.
    private func areDown(_ indices: [Int]) -> [Int] {
        let states = ask(indices.flatMap { UnitEnd.stateQuestions(apps[$0].unit) })
        return indices.enumerated().filter { UnitEnd.isDown(states[$0.offset * 2], job: states[$0.offset * 2 + 1]) }
            .map { $0.element }
    }

    private func record(_ indices: [Int]) {
        let answers = ask(shutdownQuestions + indices.flatMap { UnitEnd.questions(apps[$0].unit) })
        let isMachineStopping = isShutDown(answers[..<2])
        let isPodStopping = exists(in: pod, Text(PodState.stopping))
        var recorded: [(index: Int, end: UnitEnd)] = []
        for (place, index) in indices.enumerated() {
            let first = 2 + place * UnitEnd.answerCount
            // Something has happened since the first question: systemd has told of it.
            guard let end = UnitEnd(answers[first..<(first + UnitEnd.answerCount)]) else { continue }
            // Its start was called off, as the machine's end does with all that have not started yet.
            if !end.hasRun, isPodStopping || isMachineStopping { continue }
            let isFailure = end.isFailure(isPodStopping: isPodStopping, isMachineStopping: isMachineStopping)
            EndRecords.record(in: pod, status, app: apps[index].name, end.code, isFailure: isFailure)
            recorded.append((index, end))
        }
        // An app that is started takes its record back, but cannot when it was started while that was being made.
        let now = ask(recorded.flatMap { UnitEnd.questions(apps[$0.index].unit) })
        for (place, (index, end)) in recorded.enumerated() {
            let first = place * UnitEnd.answerCount
            if UnitEnd(now[first..<(first + UnitEnd.answerCount)])?.time == end.time { continue }
            EndRecords.takeBack(in: status, app: apps[index].name)
            changed[index] = true
        }
    }

    /// Ends the machine behind its last app, or behind one that has failed. While others are still to be started, the last
    /// of them sees to it: it looks at the record after it has made its mark, so that one of the two does.
    private func endMachine() {
        guard !hasEndedMachine else { return }
        let hasFailed = exists(in: status, Text("EXIT")) && !exists(in: pod, Text(PodState.stopping))
        guard PodState.allEnded(pod) || (hasFailed && PodState.areAllStarted(pod)) else { return }
        guard !isShutDown(ask(shutdownQuestions)[...]) else { return }
        hasEndedMachine = MachineEnd.request(systemd, status: PodState.exitStatus(pod))
        guard hasEndedMachine else { return }
        // What came before the answer was passed over.
        for index in apps.indices { changed[index] = true }
        lookAtChanged()
    }

    /// Whether the machine is about to end; systemd's own word for that comes only after it has booted.
    private var shutdownQuestions: [BusCall] { UnitEnd.stateQuestions(SystemdUnit.path(Text("shutdown.target"))) }

    private func isShutDown(_ answers: ArraySlice<BusMessage?>) -> Bool {
        guard answers.count == 2, let state = answers[answers.startIndex], let job = answers[answers.startIndex + 1]
        else { return false }
        return SystemdUnit.string(state).map { equal($0, "active") } ?? false || SystemdUnit.job(job) != nil
    }
}
