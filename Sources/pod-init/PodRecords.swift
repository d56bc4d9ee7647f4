import CMusl

/// A pod that is being started: found, locked and in the phase `run`. The other side is `Pods/PodDirectory.swift`.
struct PodRecords {
    let uuid: UnsafePointer<CChar>
    /// Where the pod's directory is.
    let path: Text
    /// The directory.
    let directory: Int32
    /// The open file that holds the pod's lock.
    let lock: Int32
    /// Whether systemd has kept that file over a restart, and still does.
    let isLockKept: Bool

    /// As long as any exit status with its newline.
    private static let emptyRecord: StaticString = "           \n"

    /// Takes the pod's lock and brings the pod into the phase `run`.
    static func take(_ uuid: UnsafePointer<CChar>) -> PodRecords {
        let data = dataDirectory(of: uuid)
        let prepared = data + "/pods/prepared/" + uuid
        let path = data + "/pods/run/" + uuid
        let flags = O_RDONLY | O_DIRECTORY
        guard
            let directory = openIfThere(path, flags) ?? openIfThere(prepared, flags) ?? openIfThere(path, flags)
        else {
            for phase in ["embryo", "prepare", "exited-garbage", "garbage"] as [StaticString]
            where exists(in: AT_FDCWD, data + "/pods/" + phase + "/" + uuid) {
                refuse(Text("pod \"") + uuid + "\" cannot be started: it is in " + data + "/pods/" + phase)
            }
            refuse(Text("there is no pod \"") + uuid + "\" in " + data)
        }
        // A pod that is a machine is restarted with its lock, which systemd has kept for it.
        let kept = keptLock(directory)
        let lock =
            kept >= 0
            ? kept : Text("lock").withCString { open_at(directory, $0, O_RDWR | O_CREAT | O_CLOEXEC, 0o600) }
        check(lock, Text("opening the pod's lock"))
        // systemd lets go of the lock of a machine a moment after its end: whoever starts it just then waits for that.
        let wait = isDown(directory) ? 0 : LOCK_NB
        if flock(lock, LOCK_EX | wait) < 0 { refuse(Text("pod \"") + uuid + "\" is in use") }
        check(put_mark(lock), Text("marking the pod's lock"))
        if !exists(in: AT_FDCWD, path) {
            makeDirectory(data + "/pods/run", mode: 0o750)
            let moved = prepared.withCString { from in
                path.withCString { rename_exclusively(AT_FDCWD, from, AT_FDCWD, $0) }
            }
            check(moved, Text("moving ") + prepared)
        }
        return PodRecords(uuid: uuid, path: path, directory: directory, lock: lock, isLockKept: kept >= 0)
    }

    /// The lock that systemd hands over with a restart; -1 when it does not.
    private static func keptLock(_ directory: Int32) -> Int32 {
        guard exists(in: directory, Text("machine-files")), let names = getenv("LISTEN_FDNAMES"), equal(names, "lock")
        else { return -1 }
        let lock = duplicate(3, 4)
        _ = close(3)
        return lock
    }

    /// Whether a pod is a machine that has been started and whose init is gone.
    private static func isDown(_ directory: Int32) -> Bool {
        guard exists(in: directory, Text("machine-files")),
            let pid = contents(in: directory, Text("pid"), limit: 64).flatMap({ parseNumber($0) })
        else { return false }
        return !exists(in: AT_FDCWD, Text("/proc/") + pid)
    }

    /// The data directory that a pod is in: the unit knows only the pod's UUID.
    private static func dataDirectory(of uuid: UnsafePointer<CChar>) -> Text {
        let end = Text("/pods/run/") + uuid
        if let target = link(Text("/run/rkt/pods/") + uuid), let data = target.dropping(end) { return data }
        return LastingLink.dataDirectory(of: uuid) ?? Text("/var/lib/rkt")
    }

    /// Refuses a temporary pod that a power loss has left: nobody saw to it that its apps' files reach the disk.
    func refuseIfOutlived() {
        guard let boot = contents(in: directory, Text("temporary"), limit: 64) else { return }
        if contents(Text("/proc/sys/kernel/random/boot_id"), limit: 64) == boot { return }
        refuse(Text("pod \"") + uuid + "\" was temporary and the machine has been down since: rkt rm " + uuid)
    }

    /// The apps, in the order they were asked for.
    func apps() -> [Text] {
        guard let overview = contents(in: directory, Text("overview")) else { fail(Text("reading the pod's overview")) }
        return overview.split(separator: 10).compactMap { line in line.split(separator: 9).first.map { Text($0) } }
    }

    /// Removes what the last run left and lays out this run's records, so that a full disk cannot lose an end.
    func clearLastRun(apps: [Text]) {
        remove(in: directory, Text("pid"))
        // The group may read each record, but not open the directory: whoever can, can hold the lock on it.
        makeDirectory(in: directory, Text("status"), mode: 0o710)
        let status = openFile(in: directory, Text("status"), O_RDONLY | O_DIRECTORY)
        forEachEntry(of: status) { name, kind in
            // A machine may have made a directory; it goes with the pod.
            let isDirectory = kind == 4
            if isDirectory {
                let aside = Text("left-") + getpid() + "-" + name
                _ = name.withCString { from in aside.withCString { renameat(status, from, directory, $0) } }
            } else {
                remove(in: status, name)
            }
        }
        for name in apps + [Text("EXIT")] {
            writeFile(in: status, Text(".") + name, Text(Self.emptyRecord), mode: 0o640)
        }
        _ = close(status)
        makePipes()
    }

    /// Makes the named pipes anew and marks the pod as one that is being started, unless that has been done for this
    /// start: launchers may wait already. The gate stays open while this process lives: where it dies before there is an
    /// init, launchers see it at once.
    private func makePipes() {
        if !exists(in: directory, Text("starting")) || !exists(in: directory, Text("gate")) {
            for name in ["gate", "ends"] as [StaticString] {
                remove(in: directory, Text(name))
                check(Text(name).withCString { mkfifoat(directory, $0, 0o600) }, Text("making the pipe ") + name)
            }
            writeFile(in: directory, Text("starting"), Text(""), mode: 0o600)
        }
        _ = openFile(in: directory, Text("gate"), O_RDWR | O_NONBLOCK)
    }

    /// Makes the link by which the pod's units find it.
    func makeRuntimeLink() {
        makeDirectory(Text("/run/rkt"))
        makeDirectory(Text("/run/rkt/pods"))
        let name = Text("/run/rkt/pods/") + uuid
        if link(name)?.equals(path) == true { return }
        remove(name)
        let made = path.withCString { target in name.withCString { symlinkat(target, AT_FDCWD, $0) } }
        check(made, Text("linking ") + name)
    }

    /// The pod's machine id: its UUID without dashes.
    var machineID: Text {
        var id = Text("")
        for index in 0..<36 where uuid[index] != 45 { id.append(byte: UInt8(bitPattern: uuid[index])) }
        return id
    }

    /// The directory in which the pod's journald will keep its journal, made if it is missing: persistent where the
    /// host's journal is.
    ///
    /// - Parameter host: Whether that is a journald of the host's machine, for a namespace of it; else it is the pod's own.
    /// - Returns: Its path.
    func ensureJournal(host: Bool) -> Text {
        guard let id = contents(Text("/etc/machine-id"), limit: 64), id.count >= 32 else {
            fail(Text("reading /etc/machine-id"))
        }
        let persistent = exists(in: AT_FDCWD, Text("/var/log/journal"))
        let parent = persistent ? Text("/var/log/journal") : Text("/run/log/journal")
        if !persistent {
            makeDirectory(Text("/run/log"))
            makeDirectory(parent)
        }
        let path = parent + "/" + (host ? Text(id[..<32]) + ".rkt-" + uuid : machineID)
        makeDirectory(path)
        return path
    }

    /// Whether an app has ended.
    func hasEnded(_ app: Text) -> Bool { exists(in: directory, Text("status/") + app) }

    /// The pod's exit status: that of the first app that failed, else 0.
    var exitStatus: Int32 { PodState.exitStatus(directory) }
    /// The same, for a process.
    var processStatus: Int32 { PodState.processStatus(directory) }

    /// The start is over, one way or the other: launchers no longer wait, and ends are no longer left to it.
    func startIsOver() {
        _ = Text("starting").withCString { unlinkat(directory, $0, 0) }
    }
}
