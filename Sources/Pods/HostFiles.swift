internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The files a pod has below `/run` on the host: its units and its journal's configuration. They are made with the
/// pod, kept in its directory below `run/`, and laid out at each start, as `/run` does not outlive a boot.
enum HostFiles {
    /// Writes the pod's files to `/run`; one that is there already, the same, is left alone.
    static func install(from pod: PodDirectory) throws {
        let source = try pod.directory.directory("run")
        try forEachFile(in: source, below: "") { directory, name, path in
            let content = try directory.read(name)
            let target = try Directory.ensure(path: path.isEmpty ? "/run" : "/run/\(path)")
            if let present = try? target.read(name), present == content { return }
            try target.make(name, content)
        }
    }

    /// Removes the pod's files from `/run`, and the directories that are then empty and only the pod's.
    static func remove(of pod: PodDirectory) throws {
        guard let source = try? pod.directory.directory("run") else { return }
        try forEachFile(in: source, below: "") { _, name, path in
            guard let target = try? Directory(path: "/run/\(path)") else { return }
            try? target.remove(name)
            guard path.contains(PodNames.machine(pod.uuid)), let slash = path.lastIndex(of: "/") else { return }
            let parent = try Directory(path: "/run/\(path[..<slash])")
            try parent.removeTree(String(path[path.index(after: slash)...]))
        }
    }

    /// Calls `body` with each file's directory, its name, and the directory's path relative to the top.
    private static func forEachFile(
        in directory: Directory,
        below path: String,
        _ body: (Directory, String, String) throws -> Void
    ) throws {
        for name in try directory.names() {
            if try directory.status(of: name).kind == .directory {
                let deeper = path.isEmpty ? name : "\(path)/\(name)"
                try forEachFile(in: try directory.directory(name), below: deeper, body)
            } else {
                try body(directory, name, path)
            }
        }
    }
}

/// The links below `/run/rkt/pods` by which units find a pod's directory.
enum PodLinks {
    static func makeRuntimeLink(_ uuid: PodUUID, to path: String) throws {
        let links = try Directory.ensure(path: PodNames.runtimeLinks)
        if let present = links.readLink(uuid.description), present == path { return }
        try? links.remove(uuid.description)
        try links.makeLink(uuid.description, to: path)
    }

    static func removeRuntimeLink(_ uuid: PodUUID) {
        try? Directory(path: PodNames.runtimeLinks).remove(uuid.description)
    }
}
