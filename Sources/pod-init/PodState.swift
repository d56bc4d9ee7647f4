import CMusl

/// The files in a pod's directory that say how it stands; the other side is `Pods/PodDirectory.swift`.
enum PodState {
    /// The pod's exit status: that of the first app that failed, else 0.
    static func exitStatus(_ podDirectory: Int32) -> Int32 {
        record(in: podDirectory, Text("status/EXIT")) ?? 0
    }

    /// The pod's exit status as that of a process of `pod@.service`. With 133 a machine reboots, by systemd-nspawn's
    /// convention: that unit starts the pod again then.
    static func processStatus(_ podDirectory: Int32) -> Int32 {
        let status = exitStatus(podDirectory)
        return status == 133 || status > 255 ? 1 : status
    }

    /// Notes that the pod has been asked to stop: what its apps end with from now on is no failure of the pod.
    static func markStopping(_ podDirectory: Int32) {
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK
        let fd = Text(stopping).withCString { open_at(podDirectory, $0, flags, 0o640) }
        if fd >= 0 { _ = close(fd) }
    }

    /// What is before an app's name in the mark of one that was started in a machine: that may be down before it could
    /// say that all have started.
    static let started: StaticString = "+"

    /// The mark that the pod has been asked to stop.
    static let stopping: StaticString = "status/STOPPING"

    /// The number in a record; nil when there is none. A pod that is a machine may write its records: what it puts
    /// there must not lead anywhere else, and must not keep anybody waiting.
    static func record(in podDirectory: Int32, _ name: Text) -> Int32? {
        guard let fd = openIfThere(in: podDirectory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
        defer { _ = close(fd) }
        return contents(of: fd, limit: 64).flatMap { parseNumber($0) }
    }

    /// Tells the pod's init that an app has ended. No inotify: a host has few of those, and may have many pods.
    static func wakeInit(_ podDirectory: Int32) {
        let fd = open_at(podDirectory, "ends", O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0)
        if fd < 0 { return }
        _ = write(fd, "e", 1)
        _ = close(fd)
    }

    /// Whether every app of the pod has ended.
    static func allEnded(_ podDirectory: Int32) -> Bool { unended(podDirectory)?.isEmpty ?? false }

    /// Whether every app of a pod that is a machine has started, or has failed to.
    static func areAllStarted(_ podDirectory: Int32) -> Bool {
        unended(podDirectory)?.allSatisfy { exists(in: podDirectory, Text("status/") + started + $0) } ?? false
    }

    /// The apps whose ends are not recorded; nil when the pod's directory is not as it should be.
    static func unended(_ podDirectory: Int32) -> [Text]? {
        guard let apps = openIfThere(in: podDirectory, Text("apps"), O_RDONLY | O_DIRECTORY),
            let status = openIfThere(in: podDirectory, Text("status"), O_PATH | O_DIRECTORY)
        else { return nil }
        defer {
            _ = close(apps)
            _ = close(status)
        }
        var names: [Text] = []
        forEachEntry(of: apps) { name, _ in if !exists(in: status, name) { names.append(name) } }
        return names
    }

    /// Becomes the `systemctl` that stops all app units of the pod and waits until they have.
    static func stopApps(_ uuid: UnsafePointer<CChar>) -> Never {
        systemctl([Text("stop"), Text("rkt-") + uuid + "-*.service"])
    }

    /// Becomes a `systemctl`.
    static func systemctl(_ words: [Text]) -> Never {
        var arguments: [UnsafeMutablePointer<CChar>?] = [Text("systemctl").leaked()]
        for word in words { arguments.append(word.leaked()) }
        arguments.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [Text("PATH=/usr/bin:/bin").leaked(), nil]
        var none = signal_set()
        _ = sigemptyset(&none)
        _ = sigprocmask(SIG_SETMASK, &none, nil)
        _ = execve("/usr/bin/systemctl", &arguments, &environment)
        _ = execve("/bin/systemctl", &arguments, &environment)
        fail(Text("running systemctl"))
    }
}
