internal import Diagnostics
internal import LinuxOS

/// The named pipes in a pod's directory: `gate`, at which launchers wait for the init, and `ends`, which wakes it.
enum PodGate {
    /// Makes the pipes anew and marks the pod as one that is being started.
    static func make(in directory: Directory) throws {
        if directory.contains("starting"), directory.contains("gate") { return }
        for name in ["gate", "ends"] {
            try directory.removeTree(name)
            try directory.makePipe(name, mode: 0o600)
        }
        try directory.writeInPlace("starting", "", mode: 0o600)
    }
}

extension PodDirectory {
    /// Whether someone is about to start the pod: who is, holds the mark.
    var isBeingStarted: Bool {
        guard let mark = try? directory.open("starting") else { return false }
        return (try? FileLock.isMarked(mark, name: "starting")) ?? false
    }
}
