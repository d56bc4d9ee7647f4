import CMusl

/// How the main process of a unit has ended, as systemd knows it when the unit is down.
struct UnitEnd {
    /// Whether there was one: a start may have been called off, or a condition not met.
    let hasRun: Bool
    /// When the unit came down, by the clock that only goes on: what tells two ends apart.
    let time: UInt64
    /// The exit status as the reference counts it: the number of the signal that killed it, if one did.
    let code: Int32
    private let isKilled: Bool
    private let hasSucceeded: Bool
    private let isLate: Bool
    private let isFailed: Bool
    /// Whether systemd was asked to stop the unit before the process ended.
    private let wasAsked: Bool

    /// What to ask for `isDown`.
    static func stateQuestions(_ unit: Text) -> [BusCall] {
        [
            BusCall.property(unit, SystemdUnit.interface, "ActiveState"),
            BusCall.property(unit, SystemdUnit.interface, "Job"),
        ]
    }

    /// Whether a unit is down and is not about to be started.
    static func isDown(_ state: BusMessage?, job: BusMessage?) -> Bool {
        guard let state = state.flatMap(SystemdUnit.string), let job, SystemdUnit.job(job) == nil else { return false }
        return equal(state, "inactive") || equal(state, "failed")
    }

    /// What to ask for an end.
    static func questions(_ unit: Text) -> [BusCall] {
        [
            BusCall.property(unit, SystemdUnit.interface, "StateChangeTimestampMonotonic"),
            BusCall.property(unit, SystemdUnit.interface, "ActiveState"),
            BusCall.property(unit, SystemdUnit.interface, "ActiveEnterTimestampMonotonic"),
            BusCall.property(unit, SystemdUnit.interface, "ActiveExitTimestampMonotonic"),
            BusCall.property(unit, SystemdUnit.serviceInterface, "Result"),
            BusCall.property(unit, SystemdUnit.serviceInterface, "ExecMainCode"),
            BusCall.property(unit, SystemdUnit.serviceInterface, "ExecMainStatus"),
            BusCall.property(unit, SystemdUnit.serviceInterface, "ExecMainStartTimestampMonotonic"),
            BusCall.property(unit, SystemdUnit.serviceInterface, "ExecMainExitTimestampMonotonic"),
            // Again: the answers are of one moment only if nothing has changed.
            BusCall.property(unit, SystemdUnit.interface, "StateChangeTimestampMonotonic"),
            BusCall.property(unit, SystemdUnit.interface, "Job"),
        ]
    }

    /// How many answers there are to `questions`.
    static let answerCount = 11

    /// Reads the answers; nil when the unit is not down, or has changed meanwhile.
    init?(_ answers: ArraySlice<BusMessage?>) {
        let answers = Array(answers)
        guard answers.count == Self.answerCount, Self.isDown(answers[1], job: answers[10]),
            let state = answers[1].flatMap(SystemdUnit.string), let result = answers[4].flatMap(SystemdUnit.string)
        else { return nil }
        let numbers = answers.map { $0.flatMap(SystemdUnit.number) }
        guard let changed = numbers[0], changed == numbers[9], let activated = numbers[2], let deactivated = numbers[3],
            let cause = numbers[5], let status = numbers[6], let started = numbers[7], let ended = numbers[8]
        else { return nil }
        isFailed = equal(state, "failed")
        hasSucceeded = equal(result, "success")
        isLate = equal(result, "timeout")
        time = changed
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0 for what could not even be started.
        hasRun = cause != 0 || isFailed
        code = cause == 0 ? ExitStatus.setup : Int32(truncatingIfNeeded: status)
        isKilled = cause > 1
        // Of a unit that was not up yet, systemd does not tell.
        wasAsked = activated < started || deactivated < ended
    }

    /// Whether the end is a failure of the pod's.
    ///
    /// - Parameters:
    ///   - isPodStopping: Whether the pod is being stopped: apps end as they do then, if they end in time.
    ///   - isMachineStopping: Whether the machine goes down, which takes the apps with it.
    /// - Returns: Whether it is.
    func isFailure(isPodStopping: Bool, isMachineStopping: Bool) -> Bool {
        if isLate || isPodStopping { return isLate }
        if !hasRun { return true }
        guard hasSucceeded else {
            // It was stopped while it waited to be started again.
            if !isFailed { return false }
            return !(wasAsked && isMachineStopping)
        }
        // For systemd these signals are a good end; for a pod only when they are how a unit is stopped. Others are one where
        // the unit has been told so (SuccessExitStatus=).
        return isKilled && [SIGHUP, SIGINT, SIGPIPE, SIGTERM].contains(code) && !wasAsked
    }
}
