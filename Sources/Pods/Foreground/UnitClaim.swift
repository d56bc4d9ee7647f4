internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import SystemdClient

/// The right to register a machine in the caller's unit.
///
/// Before 258 machined knows one machine of each unit. It refuses another one, and then stops the unit, as the one that it
/// takes for the refused machine's.
struct UnitClaim: Sendable {
    /// Whether the machine is to be registered.
    let isGranted: Bool
    /// Held as long as the machine runs, by one pod of each unit.
    private let lock: SharedFD?

    /// Takes the right, if it is free.
    ///
    /// - Parameters:
    ///   - unit: The unit's cgroup.
    ///   - manager: A connection to systemd.
    init(of unit: String, manager: SystemdManager) async {
        lock = Self.take("/sys/fs/cgroup\(unit)")
        if manager.isPeer {
            isGranted = lock != nil
        } else if lock != nil {
            isGranted = await Self.isFree(MachineManager(connection: manager.connection))
        } else {
            isGranted = (try? await manager.capabilities().machineSupervisor) ?? false
        }
    }

    private static func take(_ cgroup: String) -> SharedFD? {
        guard let directory = try? Directory(path: cgroup), let lock = try? directory.descriptor.duplicate(),
            (try? FileLock.tryLock(.exclusive, lock, name: cgroup)) ?? false
        else { return nil }
        return SharedFD(lock)
    }

    /// Whether machined knows no machine in this process's unit, or just one whose processes were killed.
    private static func isFree(_ machines: MachineManager) async -> Bool {
        guard let machine = try? await machines.machine(ofProcess: getpid()) else { return true }
        guard machine.leader == 0 || access("/proc/\(machine.leader)", F_OK) != 0 else { return false }
        return (try? await machines.unregister(machine.name)) != nil
    }
}
