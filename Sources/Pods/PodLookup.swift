internal import Diagnostics
internal import LinuxOS
public import Manifests

/// Finds pods by UUID or by the start of one.
public struct PodLookup: Sendable {
    let data: DataDirectory

    /// Looks in a data directory.
    ///
    /// - Parameter data: The data directory.
    public init(data: DataDirectory) {
        self.data = data
    }

    /// The pod with just this UUID.
    ///
    /// - Parameter uuid: The UUID.
    /// - Returns: The pod; nil when there is none that a user can name.
    /// - Throws: ``RktError`` when a directory cannot be read.
    public func exactly(_ uuid: PodUUID) throws -> PodDirectory? {
        // A pod may move on between two looks, but only forward: a second round finds it.
        for _ in 0..<2 {
            for phase in PodPhase.nameable.reversed() {
                guard let parent = try data.phase(phase) else { continue }
                do {
                    let directory = try parent.directory(uuid.description)
                    return PodDirectory(uuid: uuid, phase: phase, directory: directory)
                } catch let error as RktError where error.code == .notFound {}
            }
        }
        return nil
    }

    /// The one pod whose UUID starts with some text.
    ///
    /// - Parameter prefix: The start of a UUID; upper case is accepted.
    /// - Returns: The pod.
    /// - Throws: ``RktError`` with `invalidArgument` for an empty or ambiguous prefix, `notFound` when nothing matches.
    public func matching(_ prefix: String) throws -> PodDirectory {
        do {
            guard !prefix.isEmpty else { throw RktError(.invalidArgument, "UUID cannot be empty") }
            if let uuid = PodUUID(prefix.lowercased()), let pod = try exactly(uuid) { return pod }
            let lowercased = prefix.lowercased()
            var matches: [PodUUID] = []
            for phase in PodPhase.nameable {
                guard let parent = try data.phase(phase) else { continue }
                matches += try parent.names().filter { $0.hasPrefix(lowercased) }.compactMap { PodUUID($0) }
            }
            guard let only = matches.first, let pod = try exactly(only) else {
                throw RktError(.notFound, "no matches found for \"\(prefix)\"")
            }
            guard matches.count == 1 else {
                throw RktError(.invalidArgument, "ambiguous uuid, \(matches.count) matches")
            }
            return pod
        } catch let error as RktError {
            throw error.adding("unable to resolve UUID")
        }
    }

    /// All pods that a user can name, sorted by UUID.
    ///
    /// - Returns: The pods.
    /// - Throws: ``RktError`` when a directory cannot be read.
    public func all() throws -> [PodDirectory] {
        try pods(in: PodPhase.nameable)
    }

    /// All pods in some phases, sorted by UUID; entries that are not named as pods are passed over.
    func pods(in phases: [PodPhase]) throws -> [PodDirectory] {
        var pods: [PodDirectory] = []
        for phase in phases {
            guard let parent = try data.phase(phase) else { continue }
            for name in try parent.names() {
                guard let uuid = PodUUID(name) else { continue }
                do {
                    pods.append(PodDirectory(uuid: uuid, phase: phase, directory: try parent.directory(name)))
                } catch let error as RktError where error.code == .notFound {}
            }
        }
        return pods.sorted { $0.uuid.description < $1.uuid.description }
    }
}
