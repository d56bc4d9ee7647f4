internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The files that are generated for a pod: its units and its journal's configuration, below `/run` on the host
/// (`host-files`), or in the root of a pod that is a machine (`machine-files`). They are made with the pod, kept in its
/// directory, and laid out at each start, as neither outlives a boot.
///
/// All in one file, as a pod's files are made and removed with each pod: for each a line with its relative path and
/// its length in bytes, and then those bytes. The other side is `pod-init/HostFiles.swift`.
struct HostFiles: Equatable {
    /// A file.
    struct File: Equatable {
        /// The relative path.
        let path: String
        /// The content.
        let content: [UInt8]

        /// The directory's path, and the file's name in it.
        var location: (directory: String, name: String) {
            guard let slash = path.lastIndex(of: "/") else { return ("/run", path) }
            return ("/run/\(path[..<slash])", String(path[path.index(after: slash)...]))
        }
    }

    /// The files, in the order they are laid out.
    let files: [File]

    /// The file in the pod's directory with those for the host.
    static let fileName = "host-files"
    /// The one with those for the pod's machine.
    static let machineFileName = "machine-files"

    init(_ files: [(path: String, content: String)]) {
        self.files = files.map { File(path: $0.path, content: Array($0.content.utf8)) }
    }

    /// Reads a pod's files for the host.
    ///
    /// - Throws: ``RktError`` with `invalidData` when they are damaged.
    init(of pod: PodDirectory) throws {
        var rest = try pod.directory.read(Self.fileName)[...]
        var files: [File] = []
        repeat {
            let line = rest.prefix { $0 != 10 }
            let fields = line.split(separator: 32, maxSplits: 1)
            rest = rest.dropFirst(line.count + 1)
            guard fields.count == 2, let length = Self.number(fields[0]), length <= rest.count,
                let path = String(validating: fields[1], as: UTF8.self), Self.staysBelow(path)
            else {
                let path = pod.directory.path(of: Self.fileName)
                throw RktError(.invalidData, "\(path) is damaged: remove the pod and prepare it again")
            }
            files.append(File(path: path, content: Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        } while !rest.isEmpty
        self.files = files
    }

    private static func staysBelow(_ path: String) -> Bool {
        path.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { !["", ".", ".."].contains($0) }
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        guard digits.count < 9, digits.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int(String(decoding: digits, as: UTF8.self))
    }

    /// The content of the file in the pod's directory.
    func encoded() -> [UInt8] {
        files.flatMap { Array("\($0.content.count) \($0.path)\n".utf8) + $0.content }
    }

    /// Writes the files to `/run`; one that is there already, the same, is left alone.
    func install() throws {
        for file in files {
            let (path, name) = file.location
            let directory = try Directory.ensure(path: path)
            if let present = try? directory.read(name), present == file.content { continue }
            try directory.make(name, file.content)
        }
    }

    /// Removes what a pod may have below `/run`, by its names, whatever has become of its directory.
    ///
    /// - Parameters:
    ///   - pod: The pod.
    ///   - apps: Its apps' names.
    /// - Throws: ``RktError`` for what could not be removed.
    static func remove(of pod: PodUUID, apps: [String]) throws {
        let machine = PodNames.machine(pod)
        let units = [PodNames.slice(pod)] + apps.map { PodNames.appUnit(pod, $0) }
        let dropIns = ["systemd-journald@\(machine).service.d", "systemd-journald-sync@\(machine).service.d"]
        for (path, names) in [
            ("/run/systemd/system", units + dropIns), ("/run/systemd", ["journald@\(machine).conf.d"]),
        ] {
            guard let directory = try? Directory(path: path) else { continue }
            for name in names { try directory.removeTree(name) }
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
