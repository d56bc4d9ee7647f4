import CMusl

/// What systemd is about to do with a unit whose process has ended: questions by the bus.
struct UnitOutlook {
    /// Whether the unit will be started again: a restart was asked for, or its `Restart=` says so.
    private(set) var willRestart = false
    /// Whether somebody has asked systemd to stop just this unit.
    private(set) var isAskedToStop = false

    /// Asks systemd. Where it does not answer, the end is an end.
    ///
    /// - Parameters:
    ///   - unit: The unit.
    ///   - code: The exit status or the number of the signal with which its main process ended.
    init(of unit: Text, code: Int32) {
        guard let result = getenv("SERVICE_RESULT") else { return }
        let path = SystemdUnit.path(unit)
        let questions = [
            BusCall.property(path, SystemdUnit.interface, "Job"),
            BusCall.property(path, SystemdUnit.serviceInterface, "Restart"),
            BusCall.property(path, SystemdUnit.serviceInterface, "RestartPreventExitStatus"),
            BusCall.property(path, SystemdUnit.serviceInterface, "RestartForceExitStatus"),
        ]
        // By the bus, which keeps a call while systemd executes itself anew, and where systemd has all its objects
        // already: for each connection to its own socket it makes them once more, which takes it longer than all the
        // rest.
        let bus = BusConnection.systemBus(patience: Self.patience)
        guard let (connection, asked) = Self.ask(bus, questions) ?? Self.ask(BusConnection.systemd(), questions) else {
            return
        }
        guard let job = asked[0].flatMap(SystemdUnit.job) else {
            let isExit = getenv("EXIT_CODE").map { equal($0, "exited") } ?? false
            let lists = asked[2..<4].map { $0.map { SystemdUnit.has($0, code, isExit: isExit) } ?? false }
            let policy = asked[1].flatMap(SystemdUnit.string)
            willRestart =
                !lists[0] && (lists[1] || policy.map { Self.restarts(policy: $0, result: result) } ?? false)
            return
        }
        let interface: StaticString = "org.freedesktop.systemd1.Job"
        let more = [BusCall.property(job, interface, "JobType"), BusCall.property(job, interface, "State")]
        guard let (_, detail) = Self.ask(connection, more), let type = detail[0].flatMap(SystemdUnit.string),
            let state = detail[1].flatMap(SystemdUnit.string)
        else { return }
        isAskedToStop = equal(type, "stop")
        // A start that runs is the one that has just failed; one that waits, waits for this end.
        willRestart =
            equal(type, "restart") || equal(type, "try-restart") || (equal(type, "start") && equal(state, "waiting"))
    }

    /// The table of systemd.service(5), "Exit causes and the effect of the Restart= settings".
    private static func restarts(policy: ArraySlice<UInt8>, result: UnsafePointer<CChar>) -> Bool {
        let clean = equal(result, "success")
        let signalled = equal(result, "signal") || equal(result, "core-dump")
        if equal(policy, "always") { return true }
        if equal(policy, "on-success") { return clean }
        if equal(policy, "on-failure") { return !clean }
        if equal(policy, "on-abnormal") { return !clean && !equal(result, "exit-code") }
        if equal(policy, "on-abort") { return signalled }
        if equal(policy, "on-watchdog") { return equal(result, "watchdog") }
        return false
    }

    /// How long an answer may take, in milliseconds.
    private static let patience: Int32 = 5_000

    /// Whether a unit that is down is `inactive` or `failed`; nil when it is up.
    static func restingState(of unit: Text) -> Text? {
        let question = [BusCall.property(SystemdUnit.path(unit), SystemdUnit.interface, "ActiveState")]
        guard
            let (_, asked) = ask(BusConnection.systemBus(patience: patience), question)
                ?? ask(BusConnection.systemd(), question), let state = asked[0].flatMap(SystemdUnit.string),
            equal(state, "inactive") || equal(state, "failed")
        else { return nil }
        return Text(state)
    }

    /// Asks some questions at once.
    ///
    /// - Returns: The answers, nil for what was refused, and the connection; nil when there is none or no answer.
    private static func ask(_ connection: BusConnection?, _ questions: [BusCall]) -> (BusConnection, [BusMessage?])? {
        guard let connection else { return nil }
        let serials = questions.map { connection.send($0) }
        var answers: [BusMessage?] = []
        for serial in serials {
            guard let answer = connection.answer(to: serial, patience: patience) else { return nil }
            answers.append(answer.isError ? nil : answer)
        }
        return (connection, answers)
    }
}

/// Units and jobs as systemd shows them on D-Bus.
enum SystemdUnit {
    /// The interface of every unit's object.
    static let interface: StaticString = "org.freedesktop.systemd1.Unit"
    /// The one that a service has beside it.
    static let serviceInterface: StaticString = "org.freedesktop.systemd1.Service"

    /// A unit's object.
    static func path(_ unit: Text) -> Text {
        var path = Text("/org/freedesktop/systemd1/unit/")
        unit.withCString { name in
            var index = 0
            while name[index] != 0 {
                let byte = UInt8(bitPattern: name[index])
                let isLetter = (byte | 0x20) >= 97 && (byte | 0x20) <= 122
                let isDigit = byte >= 48 && byte <= 57
                if isLetter || (isDigit && index > 0) {
                    path.append(byte: byte)
                } else {
                    path.append(byte: 95)
                    for nibble in [byte >> 4, byte & 15] { path.append(byte: nibble + (nibble < 10 ? 48 : 87)) }
                }
                index += 1
            }
        }
        return path
    }

    /// A property that is a string; nil when it was refused.
    static func string(_ answer: BusMessage) -> ArraySlice<UInt8>? {
        guard !answer.isError else { return nil }
        var reader = BusReader(answer.body)
        guard let type = reader.signature(), equal(type, "s") else { return nil }
        return reader.string()
    }

    /// Whether a property of type (aiai), exit statuses and signals, has one.
    static func has(_ answer: BusMessage, _ code: Int32, isExit: Bool) -> Bool {
        var reader = BusReader(answer.body)
        guard let type = reader.signature(), equal(type, "(aiai)") else { return false }
        reader.align(8)
        for isStatus in [true, false] {
            guard let length = reader.number() else { return false }
            for _ in 0..<(length / 4) {
                guard let value = reader.number() else { return false }
                if isStatus == isExit, value == UInt32(bitPattern: code) { return true }
            }
        }
        return false
    }

    /// The job in a property of type (uo); nil when there is none.
    static func job(_ answer: BusMessage) -> Text? {
        guard !answer.isError else { return nil }
        var reader = BusReader(answer.body)
        guard let type = reader.signature(), equal(type, "(uo)") else { return nil }
        reader.align(8)
        guard let number = reader.number(), number != 0, let path = reader.string() else { return nil }
        return Text(path)
    }
}
