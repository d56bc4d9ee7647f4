internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import SystemdClient

/// The right to register a machine in the caller's unit.
///
/// Before 258 machined knows one machine of each unit. It refuses another one, and then stops the unit, as the one that
/// it takes for the refused machine's.
struct UnitClaim: Sendable {
    /// Held as long as the machine runs, by one pod of each unit.
    private let lock: SharedFD

    /// Takes the right, if it is free.
    ///
    /// - Parameters:
    ///   - unit: The unit's cgroup.
    ///   - manager: A connection to systemd.
    init?(of unit: String, manager: SystemdManager) async {
        guard let lock = Self.take("/sys/fs/cgroup\(unit)") else { return nil }
        self.lock = lock
        if manager.isPeer { return }
        guard await Self.isFree(MachineManager(connection: manager.connection)) else { return nil }
    }

    private static func take(_ cgroup: String) -> SharedFD? {
        guard let directory = try? Directory(path: cgroup), let lock = try? directory.descriptor.duplicate(),
            (try? FileLock.tryLock(.exclusive, lock, name: cgroup)) ?? false
        else { return nil }
        return SharedFD(lock)
    }

    /// Whether machined knows no machine in this process's unit, or one of a command that was killed.
    private static func isFree(_ machines: MachineManager) async -> Bool {
        guard let machine = try? await machines.machine(ofProcess: getpid()) else { return true }
        // The command would hold the lock. The kernel kills the machine with it, and takes a moment for that.
        guard machine.service == "rkt", await PidFD.waitForEnd(of: Int32(machine.leader), timeout: patience) else {
            return false
        }
        return (try? await machines.unregister(machine.name)) != nil
    }

    /// How long that may take.
    private static let patience: Duration = .seconds(10)
}
