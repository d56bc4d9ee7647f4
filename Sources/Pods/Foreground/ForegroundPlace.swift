internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// Where in the tree of cgroups the machine of a pod is that is below `rkt run`.
enum ForegroundPlace: Sendable {
    /// Below the caller's cgroup, whose limits enclose it: the caller is in a unit of the system's, which may have
    /// cgroups of its own.
    case beside(cgroup: String, unit: String)
    /// In a scope of its own: the caller is in a user's session, which machined would take for the machine's unit and
    /// stop as a whole, or in no unit.
    case scope

    /// Where it is for this process.
    static var ofThisProcess: ForegroundPlace {
        let groups = (try? Directory(path: "/proc/self").readText("cgroup", limit: 65_536)) ?? ""
        let own = groups.split(separator: "\n").first { $0.hasPrefix("0::/") }?.dropFirst(3)
        return Self.place(inCgroup: own.map(String.init) ?? "/")
    }

    /// Where it is for a process in some cgroup.
    ///
    /// - Parameter path: The cgroup, as in `/proc/PID/cgroup`.
    /// - Returns: The place.
    static func place(inCgroup path: String) -> ForegroundPlace {
        let parts = path.split(separator: "/")
        let isUsers = parts.contains { $0.hasPrefix("user-") && $0.hasSuffix(".slice") }
        guard !isUsers, let index = parts.firstIndex(where: { !$0.hasSuffix(".slice") }) else { return .scope }
        let unit = parts[index]
        guard unit != "init.scope", unit.hasSuffix(".service") || unit.hasSuffix(".scope") else { return .scope }
        return .beside(cgroup: path, unit: "/" + parts[...index].joined(separator: "/"))
    }

    /// The word by which pod-start knows it.
    var word: String {
        switch self {
        case .beside: "beside"
        case .scope: "scope"
        }
    }

    /// Notes where it is, for who removes the pod if its command is killed.
    ///
    /// - Parameter pod: The pod.
    /// - Throws: ``RktError`` when that cannot be written.
    func note(in pod: PodDirectory) throws {
        if case .beside(let cgroup, _) = self { try pod.directory.writeInPlace(Self.note, cgroup, mode: 0o640) }
    }

    private static let note = "cgroup"

    /// Removes what a machine that has ended has left of its cgroups. systemd removes them with the unit, which may
    /// live on for long.
    ///
    /// - Parameter pod: The pod.
    static func clear(_ pod: PodDirectory) {
        guard let cgroup = try? pod.directory.readText(note, limit: 4096) else { return }
        try? pod.directory.remove(note)
        guard let parent = try? Directory(path: "/sys/fs/cgroup\(cgroup)") else {
            return
        }
        removeGroups("rkt-\(pod.uuid)", in: parent)
    }

    /// The files in a cgroup go with it, and cannot be removed.
    private static func removeGroups(_ name: String, in parent: Directory) {
        guard let directory = try? parent.directory(name) else { return }
        let names = (try? directory.names()) ?? []
        for name in names where (try? directory.status(of: name))?.kind == .directory {
            removeGroups(name, in: directory)
        }
        try? parent.removeDirectory(name)
    }
}
