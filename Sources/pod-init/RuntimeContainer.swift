import CMusl

/// A container of the OCI runtime: made, then started.
struct RuntimeContainer {
    let runtime: UnsafePointer<CChar>
    let bundle: Text
    let id: Text
    /// Whether this is in a pod that is a machine.
    let isInMachine: Bool

    /// Where the runtime keeps its state: shared by all apps, as crun keeps its compiled filters there too.
    static let stateDirectory: StaticString = "/run/rkt/runtime"
    /// The same in a machine, where it is laid out before that has a `/run`.
    static let machineStateDirectory: StaticString = "/rkt/runtime"
    /// Where crun keeps its compiled filters, below its state.
    static let filters: StaticString = "/.cache/seccomp"
    private var state: Text { Text(isInMachine ? Self.machineStateDirectory : Self.stateDirectory) }
    /// Where it says which process a container is.
    private static let pidDirectory: StaticString = "/run/rkt/pids"

    /// Makes the container; its process waits for the start.
    ///
    /// - Returns: The process.
    func create() -> Int32 {
        if exists(in: AT_FDCWD, state + "/" + id) {
            // What the app's last life left in a machine; elsewhere what a container left that was killed half-way.
            if isInMachine {
                Self.removeState(of: id, in: state)
            } else {
                _ = run([Text("delete"), Text("--force"), id])
            }
        }
        // In memory, and only until it has been read.
        makeDirectory(Text("/run/rkt"))
        makeDirectory(Text(Self.pidDirectory), mode: 0o700)
        let pidFile = Text(Self.pidDirectory) + "/" + id
        // When it fails, the runtime has said why.
        var words = [Text("create"), Text("--bundle"), bundle, Text("--pid-file"), pidFile]
        // systemd-nspawn lets nobody have keyrings, which are the host's.
        if isInMachine { words.append(Text("--no-new-keyring")) }
        guard run(words + [id]) == 0 else { Role.end(ExitStatus.exec) }
        guard let main = contents(pidFile, limit: 64).flatMap({ parseNumber($0) }), main > 1 else {
            refuse(Text("the OCI runtime did not say which process app ") + id + " is")
        }
        remove(pidFile)
        return main
    }

    /// Starts the container's process; when that fails, ends it, and with it the unit.
    func start() {
        if isCrun, writeStartPipe() { return }
        if run([Text("start"), id]) == 0 { return }
        _ = run([Text("delete"), Text("--force"), id])
        refuse(Text("the OCI runtime could not start app ") + id, status: ExitStatus.exec)
    }

    /// What `crun start` does, without loading another crun: that takes as long as all the rest.
    private func writeStartPipe() -> Bool {
        let path = state + "/" + id + "/exec.fifo"
        let fd = path.withCString { open_at(AT_FDCWD, $0, O_WRONLY | O_NONBLOCK | O_CLOEXEC, 0) }
        guard fd >= 0 else { return false }
        defer { _ = close(fd) }
        _ = path.withCString { unlinkat(AT_FDCWD, $0, 0) }
        return write(fd, "0", 1) == 1
    }

    /// Removes what the runtime knows of a container that has ended. The directory is flat and ours; the runtime's own
    /// `delete` would look for a cgroup and processes, which systemd has seen to.
    static func removeState(of id: Text, in state: Text = Text(stateDirectory)) {
        let path = state + "/" + id
        guard let directory = openIfThere(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return }
        guard let stream = fdopendir(directory) else { return }
        while let entry = readdir(stream) {
            withUnsafePointer(to: &entry.pointee.name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { _ = unlinkat(directory, $0, 0) }
            }
        }
        _ = closedir(stream)
        _ = path.withCString { unlinkat(AT_FDCWD, $0, 0x200) }
    }

    private var isCrun: Bool {
        var name = runtime
        var next = runtime
        while next.pointee != 0 {
            if next.pointee == 47 { name = next + 1 }
            next += 1
        }
        return equal(name, "crun")
    }

    /// Has the runtime compile a filter, by running a bundle that is good for nothing else.
    ///
    /// - Parameter place: The runtime's state, beside which it keeps the filter; nil for that of all apps.
    func compileFilter(in place: Text? = nil) {
        guard isCrun else { return }
        makeDirectory(Text("/run/rkt"))
        // It fails, having compiled: nobody need know.
        let standardError = duplicate(2, 3)
        let nothing = openFile(Text("/dev/null"), O_WRONLY)
        _ = dup2(nothing, 2)
        _ = run([Text("run"), Text("--bundle"), bundle, id], state: place)
        _ = dup2(standardError, 2)
        _ = close(nothing)
        _ = close(standardError)
    }

    private func run(_ words: [Text], state place: Text? = nil) -> Int32 {
        var vector: [UnsafeMutablePointer<CChar>?] = [
            Text(runtime).leaked(), Text("--root").leaked(), (place ?? state).leaked(),
            Text("--cgroup-manager=disabled").leaked(),
        ]
        for word in words { vector.append(word.leaked()) }
        vector.append(nil)
        var environment: [UnsafeMutablePointer<CChar>?] = [
            Text("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").leaked(), nil,
        ]
        var child: pid_t = 0
        let error = posix_spawn(&child, runtime, nil, nil, &vector, &environment)
        if error != 0 {
            __errno_location().pointee = error
            fail(Text("running the OCI runtime ") + runtime)
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, __errno_location().pointee == EINTR {}
        return status
    }
}
