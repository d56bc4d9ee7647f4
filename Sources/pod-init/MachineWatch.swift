import CMusl

/// The watch over the apps of a pod that is a machine (ExecStart= of its `rkt-ends.service`): records how they end, and
/// ends the machine behind the last of them or the first that fails.
///
/// One process for all: systemd tells of every unit on its own socket, while an ExecStopPost= of each app would take
/// systemd as long as the app's start. It is systemd that knows how an app has ended: whoever watches later, as after a
/// kill, sees the same, unless the app has been started again. What it tells with each change is all that there is to
/// know of it, so that it is asked for little more than what was before this listened.
///
/// Arguments: none.
final class MachineWatch {
    private let pod: Int32
    private let status: Int32
    private let apps: [(name: Text, unit: Text)]
    /// The apps whose units have changed since they were looked at.
    private var changed: [Bool]
    /// What systemd has told of each app's unit since this began to listen.
    private var told: [UnitFacts]
    /// When the end was of which this has made the record that is there.
    private var recorded: [UInt64?]
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
        told = found.map { _ in UnitFacts() }
        recorded = found.map { _ in nil }
    }

    /// Looks at all that changes, until systemd stops this, or executes itself anew, which ends the connection: then it
    /// starts this again.
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
        lookAtAll()
        _exit(0)
    }

    // MARK: Talking to systemd

    private func next(patience: Int32) -> BusMessage? {
        guard let systemd, case .message(let message) = systemd.next(patience: patience) else { return nil }
        return message
    }

    private func note(_ message: BusMessage) {
        for (index, app) in apps.enumerated() where message.isChange(of: app.unit) {
            if told[index].take(signal: message.body) { changed[index] = true }
        }
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

    /// Looks at all apps by asking: what was told may not be all.
    private func lookAtAll() {
        for index in apps.indices {
            changed[index] = true
            told[index] = UnitFacts()
        }
        lookAtChanged()
    }

    /// Records the ends that can be seen, and ends the machine when that is due.
    private func lookAtChanged() {
        while true {
            let indices = apps.indices.filter { changed[$0] }
            if indices.isEmpty { break }
            for index in indices { changed[index] = false }
            record(ends(of: indices))
        }
        endMachine()
    }

    /// The ends of those of some apps that are down, are not about to be started, and have no record of it.
    private func ends(of indices: [Int]) -> [(index: Int, end: UnitEnd)] {
        let known = indices.filter { told[$0].isWhole }
        for index in known where told[index].isDown == false { takeBack(index) }
        let unknown = downAndUnrecorded(indices.filter { !told[$0].isWhole })
        let answers = ask(unknown.flatMap { UnitEnd.questions(apps[$0].unit) })
        var ends = seen(known)
        for (place, index) in unknown.enumerated() {
            let first = place * UnitEnd.answerCount
            // Where something has happened since the first question, systemd has told of it.
            if let end = UnitEnd(answers[first..<(first + UnitEnd.answerCount)]) { ends.append((index, end)) }
        }
        return ends
    }

    /// The ends that systemd has told of and that have no record. It also tells of what a unit only passes through, as
    /// before it is started again.
    private func seen(_ indices: [Int]) -> [(index: Int, end: UnitEnd)] {
        var ends: [(index: Int, end: UnitEnd)] = []
        for index in indices {
            guard let end = UnitEnd(told[index]) else { continue }
            let isNew = recorded[index].map { $0 != end.time } ?? false
            if isNew || !exists(in: status, apps[index].name) { ends.append((index, end)) }
        }
        let still = areStillDown(ends.map { $0.index }, since: ends.map { $0.end.time })
        return ends.indices.filter { still[$0] }.map { ends[$0] }
    }

    private func downAndUnrecorded(_ indices: [Int]) -> [Int] {
        let indices = indices.filter { !exists(in: status, apps[$0].name) }
        let states = ask(indices.flatMap { UnitEnd.stateQuestions(apps[$0].unit) })
        return indices.enumerated().filter { place, _ in
            UnitEnd.state(states[(place * 2)..<(place * 2 + 2)]).isDown == true
        }.map { $0.element }
    }

    private func record(_ ends: [(index: Int, end: UnitEnd)]) {
        if ends.isEmpty { return }
        let isPodStopping = exists(in: pod, Text(PodState.stopping))
        // Asked only where it matters.
        let isMachineStopping =
            ends.contains { !$0.end.hasRun || $0.end.isFailure(isPodStopping: isPodStopping, isMachineStopping: false) }
            && isShutDown()
        for (index, end) in ends {
            // Its start was called off, as the machine's end does with all that have not started yet.
            if !end.hasRun, isPodStopping || isMachineStopping { continue }
            let isFailure = end.isFailure(isPodStopping: isPodStopping, isMachineStopping: isMachineStopping)
            EndRecords.record(in: pod, status, app: apps[index].name, end.code, isFailure: isFailure)
            recorded[index] = end.time
        }
    }

    /// An app that is started takes its record back, but cannot when it was started while that was being made.
    private func takeBack(_ index: Int) {
        if recorded[index] != nil { EndRecords.takeBack(in: status, app: apps[index].name) }
        recorded[index] = nil
    }

    /// Takes back the records of apps that have been started again since they were made.
    ///
    /// - Returns: Whether there were any.
    private func takeBackOutlived() -> Bool {
        let indices = apps.indices.filter { recorded[$0] != nil }
        let still = areStillDown(indices, since: indices.map { recorded[$0] })
        for (place, index) in indices.enumerated() where !still[place] {
            takeBack(index)
            told[index] = UnitFacts()
            changed[index] = true
        }
        return still.contains(false)
    }

    /// Which of some apps are down since just then and are not about to be started.
    private func areStillDown(_ indices: [Int], since times: [UInt64?]) -> [Bool] {
        let properties: [UnitFacts.Property] = [.changed, .state, .job]
        let answers = ask(
            indices.flatMap { index in properties.map { UnitFacts.question($0, of: apps[index].unit) } }
        )
        return indices.indices.map { place in
            var facts = UnitFacts()
            for (offset, property) in properties.enumerated() {
                facts.take(property, answers[place * properties.count + offset])
            }
            return facts.isDown == true && facts[.changed] == times[place]
        }
    }

    /// Ends the machine behind its last app, or behind one that has failed. While others are still to be started, the
    /// last of them sees to it: it looks at the record after it has made its mark, so that one of the two does.
    private func endMachine() {
        guard !hasEndedMachine else { return }
        let hasFailed = exists(in: status, Text("EXIT")) && !exists(in: pod, Text(PodState.stopping))
        guard PodState.allEnded(pod) || (hasFailed && PodState.areAllStarted(pod)) else { return }
        guard !isShutDown() else { return }
        if takeBackOutlived() || changed.contains(true) { return lookAtChanged() }
        hasEndedMachine = MachineEnd.request(systemd, status: PodState.exitStatus(pod))
        // What came before the answer was passed over.
        if hasEndedMachine { lookAtAll() }
    }

    /// Whether the machine is about to end; systemd's own word for that comes only after it has booted.
    private func isShutDown() -> Bool {
        let state = UnitEnd.state(ask(UnitEnd.stateQuestions(SystemdUnit.path(Text("shutdown.target"))))[...])
        return state[.state].map { $0 == UnitFacts.State.up } ?? false || state[.job].map { $0 != 0 } ?? false
    }
}
