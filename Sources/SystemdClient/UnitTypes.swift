internal import DBusBridge
internal import Diagnostics

/// How a new job treats the jobs that are queued already; `systemctl --job-mode=`.
public enum JobMode: String, Sendable {
    /// Refuses when a queued job conflicts.
    case fail
    /// Replaces conflicting jobs.
    case replace
}

/// Which processes of a unit get a signal; `systemctl --kill-whom=`.
public enum KillWhom: String, Sendable {
    /// The main process; an error when there is none.
    case main
    /// Every process.
    case all
}

/// A job of a systemd.
public struct SystemdJob: Sendable, Hashable {
    /// The unit the job is for.
    public let unit: String
    /// The job's object.
    public let path: String

    /// Names a job.
    ///
    /// - Parameters:
    ///   - unit: The unit the job is for.
    ///   - path: The job's object.
    public init(unit: String, path: String) {
        self.unit = unit
        self.path = path
    }
}

/// What systemd says of a unit at one moment.
///
/// The strings are systemd's own, so that a state of a later version stays readable.
public struct UnitState: Sendable, Hashable {
    /// The unit.
    public let name: String
    /// `loaded`, `not-found`, `masked`, `bad-setting`, `error`.
    public let loadState: String
    /// `active`, `reloading`, `inactive`, `failed`, `activating`, `deactivating`, `maintenance`.
    public let activeState: String
    /// The type's own state: `running`, `exited`, `auto-restart`, `dead`.
    public let subState: String
    /// `enabled`, `static`, `disabled`; empty when the unit has no file.
    public let unitFileState: String
    /// `success`, `exit-code`, `signal`, `timeout`, `oom-kill`, `start-limit-hit`; empty for types without one.
    public let result: String
    /// The main process; 0 when there is none, or for types without one.
    public let mainPID: UInt32
    /// How the last main process ended: `CLD_EXITED` (1), `CLD_KILLED` (2), `CLD_DUMPED` (3); 0 when it has not.
    public let execMainCode: Int32
    /// The last main process's exit status, or the signal that ended it.
    public let execMainStatus: Int32
    /// 16 bytes that are new at every start; empty for a unit that was never started.
    public let invocationID: [UInt8]
    /// The job that is queued or running for the unit.
    public let job: SystemdJob?

    /// Why the unit is in its state, such as `exit-code, status 203` or `signal 9`; empty for success.
    public var failure: String {
        let ended: String? =
            switch (execMainCode, execMainStatus) {
            case (1, let status) where status != 0: "status \(status)"
            case (2, let signal): "signal \(signal)"
            case (3, let signal): "signal \(signal), core dumped"
            default: nil
            }
        let words = [result == "success" ? nil : result, ended].compactMap { $0 }.filter { !$0.isEmpty }
        return words.joined(separator: ", ")
    }

    /// Reads a unit's properties.
    ///
    /// - Parameters:
    ///   - name: The unit's name.
    ///   - properties: Properties by name; those of the type may be missing.
    /// - Throws: `RktError` with `invalidData` naming a property that is missing or has another type than it should.
    init(name: String, properties: [String: DBusValue]) throws {
        func required<T>(_ key: String, _ read: (DBusValue) throws -> T) throws -> T {
            guard let value = properties[key] else {
                throw RktError(.invalidData, "systemd tells no \(key) of \(name)")
            }
            return try withContext("the property \(key) of \(name)") { try read(value) }
        }
        func optional<T>(_ key: String, _ fallback: T, _ read: (DBusValue) throws -> T) throws -> T {
            guard let value = properties[key] else { return fallback }
            return try withContext("the property \(key) of \(name)") { try read(value) }
        }
        self.name = name
        loadState = try required("LoadState") { try $0.asString() }
        activeState = try required("ActiveState") { try $0.asString() }
        subState = try required("SubState") { try $0.asString() }
        unitFileState = try optional("UnitFileState", "") { try $0.asString() }
        result = try optional("Result", "") { try $0.asString() }
        mainPID = try optional("MainPID", 0) { try $0.asUInt32() }
        execMainCode = try optional("ExecMainCode", 0) { try $0.asInt32() }
        execMainStatus = try optional("ExecMainStatus", 0) { try $0.asInt32() }
        invocationID = try optional("InvocationID", []) { try $0.asBytes() }
        job = try optional("Job", nil) { value in
            let fields = try value.asStructure("(uo)")
            return try fields[0].asUInt32() == 0 ? nil : SystemdJob(unit: name, path: fields[1].asObjectPath())
        }
    }
}

/// One line of `systemctl list-units`.
public struct ListedUnit: Sendable, Hashable {
    /// The unit.
    public let name: String
    /// Its description.
    public let description: String
    /// `loaded`, `not-found`, `masked`, …
    public let loadState: String
    /// `active`, `inactive`, `failed`, …
    public let activeState: String
    /// The type's own state.
    public let subState: String
    /// The unit's object.
    public let path: String
    /// The job that is queued or running for the unit.
    public let job: SystemdJob?
    /// What the job does: `start`, `stop`, `restart`, …; empty without one.
    public let jobType: String

    init(_ value: DBusValue) throws {
        let fields = try value.asStructure("(ssssssouso)")
        name = try fields[0].asString()
        description = try fields[1].asString()
        loadState = try fields[2].asString()
        activeState = try fields[3].asString()
        subState = try fields[4].asString()
        path = try fields[6].asObjectPath()
        jobType = try fields[8].asString()
        job = try fields[7].asUInt32() == 0 ? nil : SystemdJob(unit: name, path: fields[9].asObjectPath())
    }
}

/// Where a unit stands.
public struct UnitActivity: Sendable, Hashable {
    /// `active`, `inactive`, `failed`, `activating`, `deactivating`, …
    public private(set) var activeState = ""
    /// The finer state, which depends on the unit's type.
    public private(set) var subState = ""
    /// Whether systemd has a job for it.
    public private(set) var hasJob = false

    /// Whether it is down, failed or not, and stays so.
    public var isInactive: Bool {
        // systemd 254 and later show a unit as down, too, that they are about to start again.
        ["inactive", "failed"].contains(activeState) && !subState.hasSuffix("-before-auto-restart") && !hasJob
    }

    /// Takes over what changed.
    mutating func take(_ properties: [String: DBusValue]) throws {
        if let value = properties["ActiveState"] { activeState = try value.asString() }
        if let value = properties["SubState"] { subState = try value.asString() }
        if let value = properties["Job"] { hasJob = try value.asStructure("(uo)")[0].asUInt32() != 0 }
    }
}
