internal import Diagnostics
internal import Glibc
internal import LinuxOS
public import Manifests

/// Finds pods by UUID or by the start of one.
///
/// Pods move while they are looked for, but only forward: whoever looks into the phases in that order, each once, meets
/// every pod that is there all the time, in one phase or on both sides of a move.
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
        try exactly(uuid, in: PodPhase.nameable)
    }

    /// The pod with just this UUID, if it is in one of some phases, given in the order in which a pod moves.
    func exactly(_ uuid: PodUUID, in phases: [PodPhase]) throws -> PodDirectory? {
        for phase in phases {
            guard let parent = try data.phase(phase) else { continue }
            do {
                let directory = try parent.directory(uuid.description)
                return PodDirectory(uuid: uuid, phase: phase, directory: directory)
            } catch let error as RktError where Self.hasMoved(error) {}
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
            // One that moves meanwhile may be met twice.
            var matches: Set<PodUUID> = []
            for phase in PodPhase.nameable {
                guard let parent = try data.phase(phase) else { continue }
                matches.formUnion(try parent.names().filter { $0.hasPrefix(lowercased) }.compactMap { PodUUID($0) })
            }
            guard matches.count < 2 else {
                throw RktError(.invalidArgument, "ambiguous uuid, \(matches.count) matches")
            }
            guard let only = matches.first, let pod = try exactly(only) else {
                throw RktError(.notFound, "no matches found for \"\(prefix)\"")
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
        try pods(in: Set(PodPhase.nameable))
    }

    /// All pods in some phases, sorted by UUID; entries that are not named as pods are passed over. Of a pod that moves
    /// meanwhile, the later phase counts.
    func pods(in phases: Set<PodPhase>) throws -> [PodDirectory] {
        var pods: [PodUUID: PodDirectory] = [:]
        for phase in PodPhase.allCases where phases.contains(phase) {
            guard let parent = try data.phase(phase) else { continue }
            for name in try parent.names() {
                guard let uuid = PodUUID(name) else { continue }
                do {
                    pods[uuid] = PodDirectory(uuid: uuid, phase: phase, directory: try parent.directory(name))
                } catch let error as RktError where Self.hasMoved(error) {}
            }
        }
        return pods.values.sorted { $0.uuid.description < $1.uuid.description }
    }

    /// Whether a pod was not found because it is not in the phase, or because it moved on while it was being opened:
    /// then the kernel finds it outside of the directory that the opening was confined to.
    private static func hasMoved(_ error: RktError) -> Bool {
        error.code == .notFound || error.errno == EXDEV
    }
}
