import CMusl

/// A stage1 that is an image: a root file system with programs (entry points) that run the pod, stop it and clean up.
/// They run on the host, in the pod's directory, and find the stage1's root and the apps' below it. The other side,
/// which lays out what this finds, is `Pods/Stages/Stage1Image.swift`.
struct Stage1Root {
    private let pod: Text
    private let configuration: PodConfiguration

    /// - Parameters:
    ///   - pod: The path of the pod's directory.
    ///   - configuration: What its `runtime-config` says.
    init(_ pod: Text, _ configuration: PodConfiguration) {
        self.pod = pod
        self.configuration = configuration
    }

    /// The stage1's directory in the pod's.
    private var directory: Text { pod + "/stage1" }

    /// Mounts it in a mount namespace of its own, which goes with the last program in it.
    ///
    /// - Parameter isTemporary: Whether nothing is kept of what is written there.
    func mount(isTemporary: Bool) {
        check(unshare(CLONE_NEWNS), Text("making a mount namespace"))
        check(CMusl.mount(nil, "/", nil, MS_REC | MS_SLAVE, nil), Text("making mounts private"))
        let root = directory + "/rootfs"
        _ = close(AppRoot.mount(directory, on: root, hostname: Text(""), isTemporary: isTemporary, isStage1: true))
        mountRecords()
    }

    /// Mounts an app's root where a stage1 expects it; the place was made with the pod.
    func mountApp(_ app: Text, isTemporary: Bool) {
        let target = directory + "/rootfs/opt/stage2/" + app + "/rootfs"
        let hostname = Text(configuration.value("Hostname"))
        _ = close(AppRoot.mount(pod + "/apps/" + app, on: target, hostname: hostname, isTemporary: isTemporary))
    }

    /// The program of an entry point, as a path on the host; nil when the image has none.
    func program(_ key: StaticString) -> Text? {
        configuration.optional(key).map { directory + "/rootfs" + Text($0) }
    }

    /// The arguments in a file of the stage1's directory, a line each.
    func arguments(_ list: StaticString) -> [Text] {
        guard let lines = contents(directory + "/" + list) else { fail(Text("reading the stage1's arguments")) }
        return lines.split(separator: 10).map { Text($0) }
    }

    /// Becomes an entry point.
    ///
    /// - Parameters:
    ///   - program: Its path.
    ///   - words: Its arguments, without the pod's UUID at the end.
    ///   - uuid: The pod.
    ///   - lock: The open file with the pod's lock, which it is to keep open.
    func become(_ program: Text, _ words: [Text], uuid: UnsafePointer<CChar>, lock: Int32? = nil) -> Never {
        var arguments: [UnsafeMutablePointer<CChar>?] = [program.leaked()]
        for word in words { arguments.append(word.leaked()) }
        arguments += [Text(uuid).leaked(), nil]

        var environment: [UnsafeMutablePointer<CChar>?] = []
        var next = whole_environment()
        while let variable = next?.pointee {
            if !startsWithLock(variable) { environment.append(variable) }
            next = next?.advanced(by: 1)
        }
        if let lock {
            let away = check(duplicate(lock, 64), Text("keeping the pod's lock"))
            // A duplicate made in this way is not closed when a program is executed.
            check(dup2(away, 3), Text("keeping the pod's lock"))
            environment.append(Text("RKT_LOCK_FD=3").leaked())
        }
        environment.append(nil)
        check(pod.withCString { chdir($0) }, Text("entering ") + pod)
        var none = signal_set()
        _ = sigemptyset(&none)
        _ = sigprocmask(SIG_SETMASK, &none, nil)
        _ = program.withCString { execve($0, &arguments, &environment) }
        fail(Text("executing ") + program)
    }

    private func startsWithLock(_ variable: UnsafePointer<CChar>) -> Bool {
        let name: StaticString = "RKT_LOCK_FD="
        return name.withUTF8Buffer { prefix in
            for (index, byte) in prefix.enumerated() where variable[index] != CChar(bitPattern: byte) { return false }
            return true
        }
    }

    // MARK: Records

    /// The stage1's own records of how apps have ended: `rkt/status` in its root, which is a directory of the pod's, as
    /// what else is in that root is for root alone to look at.
    private static let records: StaticString = "stage1-status"

    private func mountRecords() {
        let target = directory + "/rootfs/rkt/status"
        makeDirectory(directory + "/rootfs/rkt")
        makeDirectory(target)
        let tree = (pod + "/" + Self.records).withCString { detached_tree(AT_FDCWD, $0) }
        check(tree, Text("taking ") + Self.records)
        check(target.withCString { attach_tree(tree, $0) }, Text("mounting ") + target)
        _ = close(tree)
    }

    /// How an app ended, if the stage1 has recorded it.
    static func status(of app: Text, in pod: Int32) -> Int32? { PodState.record(in: pod, Text(records) + "/" + app) }

    /// Removes what the last run recorded.
    static func clearRecords(in pod: Int32) {
        remove(in: pod, Text("ppid"))
        let directory = openFile(in: pod, Text(records), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        forEachEntry(of: directory) { name, _ in _ = name.withCString { unlinkat(directory, $0, 0) } }
        _ = close(directory)
    }
}
