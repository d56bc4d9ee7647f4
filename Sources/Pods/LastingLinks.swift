internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// Where the pods of other data directories (`--dir`) are: units know only a pod's UUID, and what is below `/run` does
/// not outlive a boot. A symbolic link per pod, named by its UUID, to its data directory; the links are in the default
/// data directory, whose own pods need none.
///
/// A link is there before its pod can be started, and goes before the pod's directory does: a crash leaves at most a
/// link without a pod, which ``collect()`` takes away. Read by `pod-init/LastingLink.swift`, which looks at what a link
/// leads to before it believes it.
struct LastingLinks: Sendable {
    /// The data directory that the links are in.
    let home: String

    init(home: String = DataDirectory.defaultPath) {
        self.home = home
    }

    static let name = "elsewhere"

    private var path: String { "\(home)/\(Self.name)" }

    /// Leaves word of where a pod is.
    ///
    /// - Parameters:
    ///   - uuid: The pod, which is there already: otherwise `gc` would take the link.
    ///   - data: Its data directory.
    ///   - durable: Whether the link must outlive a power loss.
    /// - Throws: ``RktError`` when the link cannot be made.
    func make(_ uuid: PodUUID, to data: DataDirectory, durable: Bool) throws {
        guard data.path != home else { return }
        try withContext("leaving word in \(path) of where pod \"\(uuid)\" is") {
            let parent = try Directory.ensure(path: home, mode: 0o750)
            guard try !Self.isSame(parent, data.path) else { return }
            let links = try parent.ensureDirectory(Self.name, mode: 0o750)
            try? links.remove(uuid.description)
            try links.makeLink(uuid.description, to: data.path)
            guard durable else { return }
            try links.synchronize()
            try parent.synchronize()
        }
    }

    /// Removes a pod's link; one that leads to another data directory, which has a pod of that UUID too, stays.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - data: The data directory that it is removed from.
    /// - Throws: ``RktError`` when the link cannot be removed.
    func remove(_ uuid: PodUUID, to data: DataDirectory) throws {
        guard data.path != home, let links = try? Directory(path: path), let target = links.readLink(uuid.description),
            try Self.isSame(try Directory(path: data.path), target)
        else { return }
        try links.removeTree(uuid.description)
    }

    /// Removes the links whose pods are gone. One whose data directory is not there stays: that may be on a disk that
    /// is not mounted now.
    ///
    /// - Throws: ``RktError`` when the links cannot be read.
    func collect() throws {
        guard let parent = try? Directory(path: home), parent.contains(Self.name) else { return }
        let links = try parent.directory(Self.name)
        for name in try links.names() {
            guard let uuid = PodUUID(name), let target = links.readLink(name),
                (try? Directory(path: "\(target)/pods")) != nil
            else { continue }
            let lookup = PodLookup(data: DataDirectory(path: target, links: self))
            // What cannot be looked at may be there.
            guard case .some(.none) = try? lookup.exactly(uuid, in: PodPhase.allCases) else { continue }
            try links.removeTree(name)
        }
    }

    private static func isSame(_ directory: Directory, _ path: String) throws -> Bool {
        guard let other = try? Directory(path: path) else { return false }
        return try directory.status(of: ".").identity == other.status(of: ".").identity
    }
}
