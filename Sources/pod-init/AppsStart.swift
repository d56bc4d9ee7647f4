import CMusl

/// Starting the units of a pod's apps, and the pod's registration as a machine: what is asked for in one breath, and
/// waited for together.
final class AppsStart {
    private let pod: PodRecords
    private let interruption: BusConnection.Interruption
    private var apps: [App] = []
    private var connection: BusConnection
    private var isBus = true
    /// systemd's own name on the bus, by its last answer: anybody may send a signal that looks like one of its.
    private var systemd = Text("")
    /// The call that registers the machine, while it is not answered.
    private var registration: UInt32?
    /// The pod's init, to be registered.
    private var leader: Int32 = 0
    /// When machined was asked, in microseconds.
    private var registrationTime: UInt = 0

    private struct App {
        let name: Text
        let unit: Text
        /// The call that starts the unit, while it is not answered.
        var call: UInt32?
        /// The job that was made of it.
        var job: Text?
        var isStarted = false
    }

    init(pod: PodRecords, apps names: [Text], interruption: Int32) {
        self.pod = pod
        self.interruption = (
            interruption,
            {
                // systemd has called the start off: what the apps end with is no failure.
                PodState.markStopping(pod.directory)
                PodStart.giveUp(pod)
                _exit(0)
            }
        )
        connection = Self.connect(&isBus, self.interruption)
        apps = names.map { App(name: $0, unit: Text("rkt-") + pod.uuid + "-" + $0 + ".service") }
    }

    /// Asks systemd to start the apps' units. Whoever started `pod@` may have done so already: it is the same job then.
    func request() {
        subscribe()
        for index in apps.indices { requestStart(index) }
    }

    private func subscribe() {
        if isBus {
            for app in apps {
                var match = BusCall.bus("AddMatch")
                let manager: StaticString = "type='signal',sender='org.freedesktop.systemd1',member='JobRemoved',arg2='"
                match.add(Text(manager) + app.unit + "'")
                match.flags = BusCall.noReply
                connection.send(match.with(signature: "s"))
            }
            // Without a subscriber systemd keeps its signals to itself.
            var subscription = BusCall.manager("Subscribe")
            subscription.flags = BusCall.noReply
            connection.send(subscription)
        }
    }

    private func requestMachined() {
        var call = BusCall.manager("StartUnit")
        call.add(Text("systemd-machined.service"))
        call.add(Text("fail"))
        call.flags = BusCall.noReply
        connection.send(call.with(signature: "ss"))
    }

    private func requestStart(_ index: Int) {
        var call = BusCall.manager("StartUnit")
        call.add(apps[index].unit)
        call.add(Text("replace"))
        apps[index].call = connection.send(call.with(signature: "ss"))
        apps[index].job = nil
    }

    /// Waits until systemd has a job for each unit.
    ///
    /// - Returns: Whether it has; when not, that has been said.
    func waitUntilRequested() -> Bool {
        while failure == nil, apps.contains(where: { !$0.isStarted && $0.job == nil }) { step() }
        return failure.map(reportFailure) ?? true
    }

    /// Asks machined to register the pod. A host without machined has pods all the same.
    func register(leader: Int32) {
        self.leader = leader
        callMachined()
    }

    private func callMachined() {
        guard isBus else { return giveUpRegistration(Text("the system bus takes no connection")) }
        var call = BusCall(
            destination: "org.freedesktop.machine1",
            path: Text("/org/freedesktop/machine1"),
            interface: "org.freedesktop.machine1.Manager",
            member: "RegisterMachine"
        )
        call.add(Text("rkt-") + pod.uuid)
        call.body.array(machineID())
        call.add(Text("rkt"))
        call.add(Text("container"))
        // The init waits for us, so this is its number and nobody else's.
        call.body.number(UInt32(leader))
        call.add(Text(""))
        registration = connection.send(call.with(signature: "sayssus"))
        registrationTime = monotonic_time()
    }

    /// Waits until all apps have started and the machine is registered.
    ///
    /// - Returns: Whether all have started; when not, that has been said.
    func waitUntilDone() -> Bool {
        while true {
            if let failed = failure { return reportFailure(failed) }
            if registration == nil, apps.allSatisfy({ $0.isStarted }) { return true }
            step()
        }
    }

    // MARK: What comes from systemd

    /// The first app that could not be started, and why.
    private var failure: (app: Int, reason: Text)?

    /// Whether an answer was lost.
    private var isUnsure = false

    private func step() {
        if isUnsure {
            isUnsure = false
            return look()
        }
        let knowsNothing = apps.contains { !$0.isStarted && $0.job == nil && $0.call == nil }
        let isImpatient = knowsNothing || registration != nil
        switch connection.next(patience: isImpatient ? Self.impatience : Self.patience) {
        case .message(let message): take(message)
        case .late:
            look()
            if registration == nil { return }
            if monotonic_time() - registrationTime > Self.registrationPatience {
                giveUpRegistration(Text("machined does not answer"))
            } else {
                // It may have been about to end, as its bus had gone, when the new bus wanted it started.
                requestMachined()
            }
        case .closed: reconnect()
        }
    }

    /// After how long without a word the units are looked at, in milliseconds: systemd may have been executing itself
    /// anew when a signal was due.
    private static let patience: Int32 = 5_000
    /// The same while systemd could not be asked, or machined has not answered.
    private static let impatience: Int32 = 500

    /// How long a pod waits for machined, in microseconds.
    private static let registrationPatience: UInt = 25_000_000

    private func take(_ message: BusMessage) {
        if let serial = message.answers {
            if serial == registration {
                // It may have got the call before the bus went.
                let isKnown = message.isError("org.freedesktop.machine1.MachineExists")
                if message.isError, !isKnown { giveUpRegistration(message.reason) }
                registration = nil
            }
            for index in apps.indices where apps[index].call == serial { takeAnswer(message, index) }
            return
        }
        guard message.isManagerSignal("JobRemoved"), !isBus || message.sender.equals(systemd) else { return }
        var reader = BusReader(message.body)
        guard reader.number() != nil, let job = reader.string(), reader.string() != nil, let result = reader.string()
        else { return }
        let path = Text(job)
        for index in apps.indices where apps[index].job?.equals(path) == true {
            if equal(result, "done") {
                apps[index].isStarted = true
            } else {
                fail(index, Text("job ") + Text(result))
            }
        }
    }

    private func takeAnswer(_ message: BusMessage, _ index: Int) {
        apps[index].call = nil
        var reader = BusReader(message.body)
        if !message.isError, let job = reader.string() {
            systemd = message.sender
            apps[index].job = Text(job)
        } else if message.isError("org.freedesktop.DBus.Error.NoReply")
            || message.isError("org.freedesktop.DBus.Error.Disconnected")
        {
            // systemd went from the bus to execute itself anew. It may have got the call, or not: `look` finds out.
            isUnsure = true
        } else if message.isError("org.freedesktop.systemd1.NoSuchUnit"), refreshes < 20 {
            refreshUnits()
            requestStart(index)
        } else {
            fail(index, message.reason)
        }
    }

    /// How often systemd was made to look at its unit files again.
    private var refreshes = 0

    /// Makes systemd see a file it has missed: it reads a directory again when the directory's time has changed, and
    /// two files that are made within one tick of the kernel's clock leave the same time.
    private func refreshUnits() {
        refreshes += 1
        var nothing = pollfd(fd: -1, events: 0, revents: 0)
        _ = poll(&nothing, 0, 5)
        _ = utimensat(AT_FDCWD, "/run/systemd/system", nil, 0)
    }

    private func giveUpRegistration(_ reason: Text) {
        registration = nil
        report(Text("warning: pod \"") + pod.uuid + "\" is not registered as a machine: " + reason)
    }

    private func fail(_ index: Int, _ reason: Text) {
        if failure == nil { failure = (index, reason) }
    }

    private func reportFailure(_ failure: (app: Int, reason: Text)) -> Bool {
        let unit = apps[failure.app].unit
        report(Text("cannot start ") + unit + ": " + failure.reason + "; see systemctl status " + unit)
        return false
    }

    // MARK: When signals may have been missed

    /// Asks how the units stand that are not known to have started.
    private func look() {
        for index in apps.indices where !apps[index].isStarted && failure == nil {
            let path = SystemdUnit.path(apps[index].unit)
            let interface: StaticString = "org.freedesktop.systemd1.Unit"
            let state = connection.send(.property(path, interface, "ActiveState"))
            let job = connection.send(.property(path, interface, "Job"))
            guard let stateAnswer = answer(to: state), let jobAnswer = answer(to: job) else { return }
            if apps[index].isStarted || failure != nil { continue }
            // systemd may be executing itself anew: what it does not say now, it says a little later.
            if stateAnswer.isError || jobAnswer.isError { return }
            systemd = stateAnswer.sender
            if let activity = SystemdUnit.string(stateAnswer), equal(activity, "active") {
                apps[index].isStarted = true
            } else if let path = SystemdUnit.job(jobAnswer) {
                apps[index].job = path
            } else if apps[index].call != nil {
                // systemd has not come to it yet.
                continue
            } else if pod.hasEnded(apps[index].name) {
                // It has started, then. Once more would be wrong.
                apps[index].isStarted = true
                if pod.exitStatus != 0 { fail(index, Text("it has failed before the pod had started")) }
            } else {
                requestStart(index)
            }
        }
    }

    /// Waits for an answer, and takes what comes before it.
    private func answer(to serial: UInt32) -> BusMessage? {
        while case .message(let message) = connection.next(patience: 25_000) {
            if message.answers == serial { return message }
            take(message)
        }
        return nil
    }

    /// Goes on with another connection: systemd loses no job and no unit with one.
    private func reconnect() {
        connection = Self.connect(&isBus, interruption)
        if registration != nil { callMachined() }
        for index in apps.indices {
            apps[index].call = nil
            apps[index].job = nil
        }
        subscribe()
        isUnsure = true
    }

    // MARK: The connection

    /// The system bus if it takes us, else systemd's own socket. systemd makes each signal once for the bus, but once
    /// more for every connection to its own socket.
    private static func connect(_ isBus: inout Bool, _ interruption: BusConnection.Interruption) -> BusConnection {
        if let bus = BusConnection.systemBus(interruption) {
            isBus = true
            return bus
        }
        isBus = false
        if let connection = BusConnection.systemd(interruption) { return connection }
        refuse(Text("cannot reach systemd, neither by the system bus nor by /run/systemd/private"))
    }

    private func machineID() -> [UInt8] {
        var id: [UInt8] = []
        var high: UInt8?
        for index in 0..<36 where pod.uuid[index] != 45 {
            let byte = UInt8(bitPattern: pod.uuid[index])
            let digit = byte >= 97 ? byte - 87 : byte - 48
            if let first = high {
                id.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return id
    }
}
