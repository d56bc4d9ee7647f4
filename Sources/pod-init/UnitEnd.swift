import CMusl

/// How the main process of a unit has ended, as systemd knows it when the unit is down.
struct UnitEnd {
    /// Whether there was one: a start may have been called off, or a condition not met.
    let hasRun: Bool
    /// When the unit came down, by the clock that only goes on: what tells two ends apart.
    let time: UInt64
    /// The exit status as rkt 1 counted it: the number of the signal that killed it, if one did.
    let code: Int32
    private let isKilled: Bool
    private let hasSucceeded: Bool
    private let isLate: Bool
    private let isFailed: Bool
    /// Whether systemd was asked to stop the unit before the process ended.
    private let wasAsked: Bool

    /// What to ask for whether a unit is down (``UnitFacts/isDown``).
    static func stateQuestions(_ unit: Text) -> [BusCall] {
        [UnitFacts.question(.state, of: unit), UnitFacts.question(.job, of: unit)]
    }

    /// What the answers to `stateQuestions` say.
    static func state(_ answers: ArraySlice<BusMessage?>) -> UnitFacts {
        let answers = Array(answers)
        var facts = UnitFacts()
        guard answers.count == 2 else { return facts }
        facts.take(.state, answers[0])
        facts.take(.job, answers[1])
        return facts
    }

    /// What is asked for an end, in this order: the answers are of one moment only if the unit has not changed between
    /// the first one and the last but one.
    private static var asked: [UnitFacts.Property] {
        [
            .changed, .state, .activated, .deactivated, .result, .cause, .status, .started, .ended, .changed, .job,
        ]
    }

    /// What to ask for an end.
    static func questions(_ unit: Text) -> [BusCall] { asked.map { UnitFacts.question($0, of: unit) } }

    /// How many answers there are to `questions`.
    static let answerCount = 11

    /// Reads the answers; nil when the unit is not down, or has changed meanwhile.
    init?(_ answers: ArraySlice<BusMessage?>) {
        let answers = Array(answers)
        guard answers.count == Self.answerCount else { return nil }
        var facts = UnitFacts()
        facts.take(.changed, answers[0])
        let first = facts[.changed]
        for (place, property) in Self.asked.enumerated() { facts.take(property, answers[place]) }
        guard facts[.changed] == first else { return nil }
        self.init(facts)
    }

    /// Reads what systemd says; nil when the unit is not down, or something is missing.
    init?(_ facts: UnitFacts) {
        guard facts.isDown == true, let state = facts[.state], let result = facts[.result],
            let changed = facts[.changed],
            let activated = facts[.activated], let deactivated = facts[.deactivated], let cause = facts[.cause],
            let status = facts[.status], let started = facts[.started], let ended = facts[.ended]
        else { return nil }
        isFailed = state == UnitFacts.State.failed
        hasSucceeded = result == UnitFacts.Result.success
        isLate = result == UnitFacts.Result.timeout
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
        // For systemd these signals are a good end; for a pod only when they are how a unit is stopped. Others are one
        // where the unit has been told so (SuccessExitStatus=).
        return isKilled && [SIGHUP, SIGINT, SIGPIPE, SIGTERM].contains(code) && !wasAsked
    }
}
