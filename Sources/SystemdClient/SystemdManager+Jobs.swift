public import DBusBridge
internal import Diagnostics

extension SystemdManager {
    /// Starts a unit and waits until it has started.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - mode: What to do with conflicting jobs.
    ///   - timeout: How long to wait; nil for as long as systemd takes. The job is not cancelled when it passes.
    /// - Throws: `RktError` with `notFound` when there is no such unit, `failed` when it did not start, naming the
    ///   unit, the job's result and the unit's, `timeout` and `cancelled` when waiting ended first.
    public func startUnit(_ name: String, mode: JobMode = .replace, timeout: Duration? = nil) async throws {
        try await run([unitCall("StartUnit", name, mode)], verb: "start", timeout: timeout)
    }

    /// Starts units at once and waits until all have started.
    ///
    /// - Parameters:
    ///   - names: The units' names.
    ///   - followers: Units to be started in the same breath that are not waited for.
    ///   - mode: What to do with conflicting jobs.
    ///   - timeout: How long to wait for all of them.
    /// - Throws: `RktError` as ``startUnit(_:mode:timeout:)`` for the first unit in the list that failed; the others
    ///   have been waited for.
    public func startUnits(
        _ names: [String],
        followers: [String] = [],
        mode: JobMode = .replace,
        timeout: Duration? = nil
    ) async throws {
        try await run(
            names.map { unitCall("StartUnit", $0, mode) },
            followers: followers.map { unitCall("StartUnit", $0, mode).call },
            verb: "start",
            timeout: timeout
        )
    }

    /// Stops a unit and waits until it has stopped.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - mode: What to do with conflicting jobs.
    ///   - timeout: How long to wait.
    /// - Throws: `RktError` as ``startUnit(_:mode:timeout:)``.
    public func stopUnit(_ name: String, mode: JobMode = .replace, timeout: Duration? = nil) async throws {
        try await run([unitCall("StopUnit", name, mode)], verb: "stop", timeout: timeout)
    }

    /// Stops units at once and waits until all have stopped.
    ///
    /// - Parameters:
    ///   - names: The units' names.
    ///   - killed: Those of them whose processes are killed as soon as systemd has its jobs: they shall not do all that
    ///     they do when they end.
    ///   - mode: What to do with conflicting jobs.
    ///   - timeout: How long to wait for all of them.
    /// - Throws: `RktError` as ``startUnits(_:followers:mode:timeout:)``.
    public func stopUnits(
        _ names: [String],
        killing killed: [String] = [],
        mode: JobMode = .replace,
        timeout: Duration? = nil
    ) async throws {
        try await run(
            names.map { unitCall("StopUnit", $0, mode) },
            followers: killed.map(killCall),
            verb: "stop",
            timeout: timeout
        )
    }

    /// Lets units be stopped, all at once and without waiting for it: when this returns, systemd has the jobs and will
    /// do them whatever becomes of the units' files. Units that are gone are none too few.
    ///
    /// - Parameters:
    ///   - names: The units.
    ///   - patterns: Shell patterns of units that are looked at then.
    /// - Returns: The units that match, as they stand behind that.
    /// - Throws: `RktError` when systemd cannot be asked.
    public func dismissUnits(_ names: [String], listing patterns: [String]) async throws -> [ListedUnit] {
        let stops = names.map { unitCall("StopUnit", $0, .replace).call }
        let list = managerCall("ListUnitsByPatterns", [.strings([]), .strings(patterns)])
        let replies = try await connection.start(all: stops + [list])
        for reply in replies.dropLast() {
            do {
                _ = try await reply.value()
            } catch let error as RktError where error.code == .notFound {
                // It ended meanwhile.
            }
        }
        return try Self.units(try await replies[stops.count].value())
    }

    private func killCall(_ name: String) -> DBusCall {
        let kill: Int32 = 9
        return managerCall("KillUnit", [.string(name), .string(KillWhom.all.rawValue), .int32(kill)])
    }

    /// Makes a unit that has no file, starts it and waits until it has started.
    ///
    /// - Parameters:
    ///   - name: The unit's name; no instance of a template that has a file.
    ///   - properties: Its properties, by systemd's D-Bus names and types. Command lines belong into `ExecStartEx`
    ///     with `no-env-expand`: those in `ExecStart` are expanded.
    ///   - mode: What to do with conflicting jobs.
    ///   - timeout: How long to wait.
    /// - Throws: `RktError` as ``startUnit(_:mode:timeout:)``; `alreadyExists` when there is such a unit,
    ///   `permissionDenied` for a property that this systemd does not know or allow.
    public func startTransientUnit(
        _ name: String,
        properties: [(String, DBusValue)],
        mode: JobMode = .fail,
        timeout: Duration? = nil
    ) async throws {
        let start = managerCall(
            "StartTransientUnit",
            [
                .string(name), .string(mode.rawValue), .properties(properties),
                .array(elementSignature: "(sa(sv))", []),
            ]
        )
        try await run([UnitCall(unit: name, call: start)], verb: "start", timeout: timeout)
    }

    // MARK: Jobs

    private struct UnitCall {
        let unit: String
        let call: DBusCall
    }

    private func unitCall(_ member: String, _ name: String, _ mode: JobMode) -> UnitCall {
        UnitCall(unit: name, call: managerCall(member, [.string(name), .string(mode.rawValue)]))
    }

    private static func job(of unit: String, in reply: [DBusValue]) throws -> SystemdJob {
        let path = try reply.expecting("o", from: "systemd's reply about \(unit)")[0].asObjectPath()
        return SystemdJob(unit: unit, path: path)
    }

    /// Sends calls that make jobs and waits for all the jobs.
    ///
    /// The signals are subscribed to first: a job may be over before its reply has been read.
    private func run(
        _ calls: [UnitCall],
        followers: [DBusCall] = [],
        verb: String,
        timeout: Duration?
    ) async throws {
        if calls.isEmpty { return }
        let removals = try await connection.signals(
            matching: DBusSignalMatch(
                sender: Self.service,
                path: Self.path,
                interface: Self.managerInterface,
                member: "JobRemoved",
                // Many may wait at once, each for its own: nobody need hear of all the others'.
                argument2: calls.count == 1 ? calls[0].unit : nil
            ),
            timeout: timeout
        )
        let patience = min(timeout ?? .seconds(90), .seconds(90))
        let replies = try await connection.start(all: calls.map(\.call), timeout: patience)
        var failures = [(any Error)?](repeating: nil, count: calls.count)
        // A second call for the same unit may have been given the same job.
        var waiting: [String: [Int]] = [:]
        for (index, reply) in replies.enumerated() {
            do {
                let job = try Self.job(of: calls[index].unit, in: try await reply.value())
                waiting[job.path, default: []].append(index)
            } catch {
                failures[index] = (error as? RktError)?.adding("cannot \(verb) \(calls[index].unit)") ?? error
            }
        }
        // systemd runs its jobs when nobody asks anything: these would keep it from the first ones for a while.
        _ = try await connection.start(all: followers, timeout: patience)
        var iterator = removals.makeAsyncIterator()
        while !waiting.isEmpty {
            do {
                guard let signal = try await iterator.next() else { break }
                let fields = try signal.arguments.expecting("uoss", from: "systemd's signal JobRemoved")
                guard let indices = waiting.removeValue(forKey: try fields[1].asObjectPath()) else { continue }
                let result = try fields[3].asString()
                if result == "done" { continue }
                for index in indices {
                    failures[index] = await failure(of: calls[index].unit, verb: verb, jobResult: result)
                }
            } catch let error as RktError {
                let units = waiting.values.joined().sorted().map { calls[$0].unit }.joined(separator: ", ")
                throw error.adding("waiting for systemd to \(verb) \(units)")
            }
        }
        for case let failure? in failures { throw failure }
    }

    private func failure(of unit: String, verb: String, jobResult: String) async -> RktError {
        let state = try? await unitProperties(unit)
        let reason =
            switch jobResult {
            case "failed": ""
            case "dependency": "a unit it needs failed; "
            case "timeout": "the job timed out; "
            case "canceled": "another job replaced this one; "
            default: ""
            }
        let unitResult = state.map { state in
            let why = state.failure.isEmpty ? "" : ", \(state.failure)"
            return "the unit is \(state.activeState)\(why)"
        }
        let detail = reason + (unitResult ?? "the unit's state is unknown")
        let advice = "; see systemctl status \(unit)"
        return RktError(.failed, "cannot \(verb) \(unit): job \(jobResult): \(detail)\(advice)")
    }
}
