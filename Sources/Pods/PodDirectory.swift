internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests

/// A pod's directory, the truth about the pod; the directory's descriptor stays valid when the pod changes phase.
///
/// What is in it, and who writes it:
///
/// | file | content | written by |
/// |---|---|---|
/// | `pod` | the pod manifest | prepare |
/// | `pod-created` | nothing; its time is the pod's creation | prepare |
/// | `overview` | a line per app: name, image name, image id, separated by TABs | prepare |
/// | `runtime-config` | ``RuntimeConfiguration`` | prepare |
/// | `host-files`, `machine-files` | ``HostFiles``: the generated units and what belongs to them | prepare |
/// | `filter/` | a bundle that has the runtime compile the apps' filter of system calls | prepare |
/// | `machine-filter/` | the same with the filter for all of a machine | prepare |
/// | `notify` | the socket on which a machine that starts tells how far it is | pod-start |
/// | `cgroup` | the cgroup of that command, where it is in a unit of the system's | run |
/// | `supervisor` | the socket of the `rkt run` that the pod is below | run |
/// | `apps/APP/` | the app's bundle: `config.json`, `layers`, `upper/`, `work/`, `rootfs/` | prepare |
/// | `stage1/` | where an image runs the pod: its `manifest`, `layers`, `upper/`, `work/`, `rootfs/` and arguments | prepare |
/// | `stage1-status/APP` | the exit status of an app, if such a stage1 tells it | the stage1 |
/// | `appsinfo/APP/manifest` | there too, the manifest of the app's image | prepare |
/// | `pid` | the init's process; its time is the pod's start | pod-start |
/// | `lock` | nothing; locked while the pod runs or changes phase, by root alone | all |
/// | `gate` | a named pipe at which launchers wait for the init | run, pod-start |
/// | `ends` | a named pipe that wakes the init when an app has ended | run, pod-start |
/// | `temporary` | there when the pod is removed as soon as it has ended; the boot it is good for | run |
/// | `starting` | there while pod-start has not handed over | pod-start |
/// | `status/APP` | the app's exit status; before that the file is `.APP`, laid out by pod-start | pod-init |
/// | `status/+APP` | there once an app was started in a machine | pod-init |
/// | `status/EXIT` | the pod's exit status, when an app failed; before that `.EXIT` | pod-init |
/// | `status/FORCE` | there when a stage1 that is an image is to be stopped by force | stop |
/// | `status/STOPPING` | there once the pod was asked to stop | pod-init |
public final class PodDirectory: Sendable {
    /// The pod.
    public let uuid: PodUUID
    /// The phase it was found in.
    let phase: PodPhase
    /// The directory.
    let directory: Directory

    init(uuid: PodUUID, phase: PodPhase, directory: Directory) {
        self.uuid = uuid
        self.phase = phase
        self.directory = directory
    }

    /// The state, as of now for the lock and as of opening for the phase.
    ///
    /// - Returns: The state.
    /// - Throws: ``RktError`` when the lock cannot be looked at.
    public func state() throws -> PodState {
        phase.state(locked: try isHeld())
    }

    /// Whether someone holds the lock for the pod's life or for a transition. The lock of a machine is systemd's to keep,
    /// which lets go of it a moment after the machine's end.
    func isHeld() throws -> Bool { try isLocked() && !isMachineDown }

    /// Whether the pod is a machine that has been started and whose init is gone.
    private var isMachineDown: Bool {
        guard phase == .run, directory.contains(HostFiles.machineFileName), let pid = initProcess() else {
            return false
        }
        return access("/proc/\(pid)", F_OK) != 0
    }

    /// Takes the lock as soon as a machine that is down has let go of it.
    ///
    /// - Returns: The descriptor that holds the lock.
    /// - Throws: ``RktError`` with `busy` when someone else holds it.
    func lockSoon() async throws -> OwnedFD {
        // A machine that reboots keeps it.
        if isMachineDown { _ = try await waitUntilUnlocked(until: .now + .seconds(2)) }
        return try lock()
    }

    /// The file with the lock: not the directory itself, whose descriptor in the pod's init would be a way out of the
    /// pod for an app that may trace processes.
    static let lockFile = "lock"
    /// Whoever can open a lock can hold it: that is for nobody but root.
    private static let lockMode: UInt32 = 0o600

    /// Whether someone holds the lock.
    func isLocked() throws -> Bool {
        do {
            return try FileLock.isMarked(try directory.open(Self.lockFile), name: directory.path)
        } catch let error as RktError where error.code == .notFound {
            return false
        } catch let error as RktError where error.errno == EACCES {
            return try FileLock.isMarked(unopened: Self.lockFile, in: directory)
        }
    }

    /// Takes the lock for a transition, or for the life of the running pod.
    ///
    /// - Returns: The descriptor that holds the lock.
    /// - Throws: ``RktError`` with `busy` when another transition, or the running pod itself, holds it.
    func lock() throws -> OwnedFD {
        let file = try directory.open(Self.lockFile, flags: Directory.lockFileFlags, mode: Self.lockMode)
        // Earlier versions let the group.
        _ = fchmod(file.rawValue, Self.lockMode)
        guard try FileLock.tryLock(.exclusive, file, name: directory.path) else {
            throw RktError(.busy, "pod \"\(uuid)\" is in use")
        }
        try FileLock.mark(file, name: directory.path)
        return file
    }

    /// Waits until nobody holds the lock: until the init of the running pod has ended.
    func waitUntilUnlocked() async throws {
        let raw: CInt
        do {
            raw = try directory.open(Self.lockFile).release()
        } catch let error as RktError where error.errno == EACCES {
            return try await waitFromOutside()
        }
        let path = directory.path
        try await OwnThread.run { _ in
            let file = OwnedFD(taking: raw)
            try FileLock.lock(.shared, file, name: path)
        }
    }

    /// The same for those who may not open the lock. The number of the process may be another's by now, so it is not waited
    /// for without an end.
    private func waitFromOutside() async throws {
        while try isLocked() {
            _ = await PidFD.waitForEnd(of: initProcess() ?? 0, timeout: .seconds(10))
            // Between two inits, and while a pod changes phase, there is nothing that could be waited for.
            if try isLocked() { try await OwnThread.wait(until: .now + .milliseconds(100)) }
        }
    }

    /// The same, for some time.
    ///
    /// - Parameter deadline: When to give up.
    /// - Returns: Whether nobody holds the lock.
    /// - Throws: ``RktError`` when it cannot be looked at.
    func waitUntilUnlocked(until deadline: ContinuousClock.Instant) async throws -> Bool {
        let (outcomes, outcome) = AsyncThrowingStream.makeStream(of: Bool.self)
        // The kernel's wait cannot be called off: a thread may be left in it.
        Task.detached { [self] in
            do {
                try await waitUntilUnlocked()
                outcome.yield(true)
            } catch {
                outcome.finish(throwing: error)
            }
        }
        let alarm = Task {
            try await OwnThread.wait(until: deadline)
            outcome.yield(false)
        }
        defer { alarm.cancel() }
        for try await isUnlocked in outcomes { return isUnlocked }
        return false
    }

    /// Moves the pod to another phase; the caller holds the lock.
    func move(to phase: PodPhase, in data: DataDirectory, durable: Bool) throws -> PodDirectory {
        guard let from = try data.phase(self.phase) else {
            throw RktError(.notFound, "pod \"\(uuid)\" is gone")
        }
        let to = try data.ensurePhase(phase)
        try from.renameExclusively(uuid.description, to: uuid.description, in: to)
        if durable { try to.synchronize() }
        let moved = Directory(
            taking: try directory.descriptor.duplicate(),
            path: to.path(of: uuid.description)
        )
        return PodDirectory(uuid: uuid, phase: phase, directory: moved)
    }

    // MARK: What is in it

    /// The pod's apps, in the order they were asked for.
    func overview() throws -> [AppOverview] {
        try directory.readText("overview").split(separator: "\n").map { line in
            let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map(String.init)
            guard fields.count == 3 else {
                throw RktError(.invalidData, "\(directory.path(of: "overview")) is damaged")
            }
            return AppOverview(name: fields[0], imageName: fields[1], imageID: fields[2])
        }
    }

    /// The pod manifest, as it is stored.
    ///
    /// - Returns: The JSON.
    /// - Throws: ``RktError`` when there is none yet.
    public func manifest() throws -> [UInt8] {
        try directory.read("pod", limit: 16 << 20)
    }

    /// The exit status of an app; nil while it has none.
    func exitStatus(of app: String) -> Int32? { recordedStatus(of: app) ?? stage1Status(of: app) }

    /// The exit status of the pod: that of the first app that failed, else 0.
    func exitStatus() -> Int32 {
        if let status = status(in: "status/EXIT") { return status }
        // What an image runs is known to have ended well, or only from what its stage1 has recorded.
        guard directory.contains(Stage1Image.recordsName), (try? areAllEndsKnown()) == false,
            !directory.contains("status/STOPPING")
        else { return 0 }
        let apps = (try? overview()) ?? []
        return apps.lazy.compactMap { self.stage1Status(of: $0.name) }.first { $0 != 0 } ?? 0
    }

    private func recordedStatus(of app: String) -> Int32? { status(in: "status/\(app)") }

    /// What a stage1 that is an image says in its root of an app's end.
    private func stage1Status(of app: String) -> Int32? { status(in: "\(Stage1Image.recordsName)/\(app)") }

    private func status(in file: String) -> Int32? {
        guard let text = try? directory.readText(file, limit: 64) else { return nil }
        return Int32(text.prefix { $0.isNumber || $0 == "-" })
    }

    /// Records how a pod ended that failed and that an image ran, unless that is known.
    ///
    /// - Parameter status: The exit status of the pod; also of apps of which the stage1 says nothing.
    /// - Throws: ``RktError`` when it runs again, or cannot be written.
    func recordEnd(_ status: Int32) throws {
        if try areAllEndsKnown() { return }
        let lock = try lock()
        defer { withExtendedLifetime(lock.rawValue) {} }
        guard try !areAllEndsKnown() else { return }
        let records = try directory.directory("status")
        if !records.contains("STOPPING") { try records.make("EXIT", "\(status)\n", mode: 0o640) }
        for app in try overview().map(\.name) where recordedStatus(of: app) == nil {
            try records.make(app, "\(stage1Status(of: app) ?? status)\n", mode: 0o640)
        }
    }

    /// What a pod is that is to be removed as soon as it has ended.
    enum Temporality {
        /// It is an ordinary one.
        case none
        /// The command that will remove it still lives.
        case attended
        /// That command was killed.
        case orphaned
    }

    /// Whether the pod is temporary.
    var temporality: Temporality {
        guard let mark = try? directory.open(Self.temporaryMark) else { return .none }
        return ((try? FileLock.isMarked(mark, name: directory.path)) ?? false) ? .attended : .orphaned
    }

    /// Makes the pod a temporary one. Its lock must be held.
    ///
    /// - Returns: What to hold as long as somebody will remove it.
    /// - Throws: ``RktError`` when the mark cannot be written.
    func makeTemporary() throws -> OwnedFD {
        // An overlay that was not seen to the disk is good in this boot alone.
        let boot = try Directory(path: "/proc/sys/kernel/random").readText("boot_id", limit: 64)
        try directory.writeInPlace(Self.temporaryMark, boot, mode: Self.lockMode)
        let mark = try directory.open(Self.temporaryMark, flags: Directory.lockFileFlags)
        try FileLock.mark(mark, name: directory.path)
        return mark
    }

    /// The name of that mark.
    private static let temporaryMark = "temporary"

    /// Whether the ends of all apps are recorded and none was a failure: systemd has nothing left to do with the pod but
    /// to forget its units.
    var hasEndedWell: Bool {
        phase == .run && !directory.contains("status/EXIT") && (try? areAllEndsKnown()) ?? false
    }

    /// Whether the ends of all apps are recorded.
    func areAllEndsKnown() throws -> Bool { try overview().allSatisfy { recordedStatus(of: $0.name) != nil } }

    /// The process of the pod's init, as pod-start wrote it; nil when the pod was never started.
    func initProcess() -> Int32? {
        (try? directory.readText("pid", limit: 64)).flatMap { Int32($0.prefix { $0.isNumber }) }
    }

    /// The time a file was last written, in nanoseconds since the epoch; nil when there is none.
    func time(of name: String) -> Int64? {
        (try? directory.status(of: name))?.modified
    }
}

/// What the overview says of an app.
public struct AppOverview: Sendable, Hashable {
    /// The app's name.
    public let name: String
    /// The image's name, with its version if it has one.
    public let imageName: String
    /// The image's full id.
    public let imageID: String
}
