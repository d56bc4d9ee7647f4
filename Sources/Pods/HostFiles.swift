internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The files a pod has below `/run` on the host: its units and its journal's configuration. They are made with the
/// pod, kept in its directory, and laid out at each start, as `/run` does not outlive a boot.
///
/// All in one file, as a pod's files are made and removed with each pod: for each a line with its path below `/run` and
/// its length in bytes, and then those bytes. The other side is `pod-init/HostFiles.swift`.
struct HostFiles: Equatable {
    /// A file.
    struct File: Equatable {
        /// The path below `/run`.
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

    /// The file in the pod's directory.
    static let fileName = "host-files"

    init(_ files: [File]) {
        self.files = files
    }

    /// Reads a pod's files.
    ///
    /// - Throws: ``RktError`` with `invalidData` when they are damaged.
    init(of pod: PodDirectory) throws {
        var rest = try pod.directory.read(Self.fileName)[...]
        var files: [File] = []
        while !rest.isEmpty {
            let line = rest.prefix { $0 != 10 }
            let fields = line.split(separator: 32, maxSplits: 1)
            rest = rest.dropFirst(line.count + 1)
            guard fields.count == 2, let length = Int(String(decoding: fields[0], as: UTF8.self)), length >= 0,
                length <= rest.count, let path = String(validating: fields[1], as: UTF8.self)
            else {
                throw RktError(.invalidData, "\(pod.directory.path(of: Self.fileName)) is damaged")
            }
            files.append(File(path: path, content: Array(rest.prefix(length))))
            rest = rest.dropFirst(length)
        }
        self.files = files
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

    /// Removes the files from `/run`, and the directories that are then empty and only the pod's.
    func remove(of pod: PodDirectory) throws {
        for file in files {
            let (path, name) = file.location
            guard let directory = try? Directory(path: path) else { continue }
            try? directory.remove(name)
            guard path.contains(PodNames.machine(pod.uuid)), let slash = path.lastIndex(of: "/") else { continue }
            try Directory(path: String(path[..<slash])).removeTree(String(path[path.index(after: slash)...]))
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
