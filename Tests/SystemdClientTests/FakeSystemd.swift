import DBusBridge
import Diagnostics
import Synchronization
import SystemdClient
import TestSupport
import Testing

/// Expects an asynchronous operation to fail.
func failure(of operation: () async throws -> Void) async throws -> RktError {
    do {
        try await operation()
    } catch {
        return try #require(error as? RktError)
    }
    throw RktError(.failed, "the operation was expected to fail")
}

/// The bits of systemd that tests script: job numbers, units' properties, signals.
enum FakeSystemd {
    static let managerPath = "/org/freedesktop/systemd1"
    static let managerInterface = "org.freedesktop.systemd1.Manager"
    static let unitInterface = "org.freedesktop.systemd1.Unit"

    static func jobPath(_ number: UInt32) -> String { "\(managerPath)/job/\(number)" }

    /// The end of a job.
    static func jobRemoved(_ number: UInt32, unit: String, result: String = "done") -> DBusSignal {
        DBusSignal(
            path: managerPath,
            interface: managerInterface,
            member: "JobRemoved",
            arguments: [.uint32(number), .objectPath(jobPath(number)), .string(unit), .string(result)]
        )
    }

    /// A change of a unit, as systemd announces it.
    static func changed(
        _ unit: String,
        interface: String = unitInterface,
        _ values: [(String, DBusValue)]
    ) -> DBusSignal {
        DBusSignal(
            path: SystemdManager.unitPath(unit),
            interface: "org.freedesktop.DBus.Properties",
            member: "PropertiesChanged",
            arguments: [.string(interface), dictionary(values), .strings([])]
        )
    }

    /// Where a unit stands, as its properties tell it.
    static func activity(active: String, sub: String = "dead", job: UInt32 = 0) -> [(String, DBusValue)] {
        [
            ("ActiveState", .string(active)), ("SubState", .string(sub)),
            ("Job", .structure([.uint32(job), .objectPath(job == 0 ? "/" : jobPath(job))])),
        ]
    }

    /// The reply to Get for one property; nil when there is no such property or the call is another.
    static func value(for call: FakeService.Call, of properties: [(String, DBusValue)]) -> [DBusValue]? {
        guard call.member == "Get", let last = call.arguments.last, let name = try? last.asString() else { return nil }
        return properties.first { $0.0 == name }.map { [.variant($0.1)] }
    }

    /// The reply to GetAll for a unit.
    static func properties(
        active: String,
        sub: String = "dead",
        result: String = "success",
        code: Int32 = 0,
        status: Int32 = 0,
        job: UInt32 = 0
    ) -> DBusValue {
        let values: [(String, DBusValue)] = [
            ("LoadState", .string("loaded")), ("ActiveState", .string(active)), ("SubState", .string(sub)),
            ("UnitFileState", .string("static")), ("Result", .string(result)), ("MainPID", .uint32(0)),
            ("ExecMainCode", .int32(code)), ("ExecMainStatus", .int32(status)),
            ("InvocationID", .bytes([UInt8](repeating: 7, count: 16))),
            ("Job", .structure([.uint32(job), .objectPath(job == 0 ? "/" : jobPath(job))])),
            // Something of a type that we do not read.
            ("Conditions", .array(elementSignature: "(sbbsi)", [])),
        ]
        return dictionary(values)
    }

    private static func dictionary(_ values: [(String, DBusValue)]) -> DBusValue {
        .dictionary(
            keySignature: "s",
            valueSignature: "v",
            values.map { DBusEntry(.string($0.0), .variant($0.1)) }
        )
    }
}
