/// Where a pod stands: derived from the directory it is in and from whether its lock is held.
public enum PodState: String, Sendable, CaseIterable {
    /// Just made, not yet filled.
    case embryo
    /// Being filled.
    case preparing
    /// Filling it ended early.
    case abortedPrepare = "aborted prepare"
    /// Ready to be started.
    case prepared
    /// Its init lives, or is being started.
    case running
    /// It ran and ended; it can be started again.
    case exited
    /// An exited pod that is being deleted.
    case exitedDeleting = "exited deleting"
    /// An exited pod that `gc` has marked.
    case exitedGarbage = "exited garbage"
    /// A pod that never ran, being deleted.
    case deleting
    /// A pod that never ran, marked for deletion.
    case garbage
}

/// The directories below `pods/`; a rename from one to another is a pod's transition, and never goes back: the cases
/// are in the order in which a pod moves, and it may leave some out.
enum PodPhase: String, CaseIterable {
    case embryo
    case prepare
    case prepared
    case run
    case exitedGarbage = "exited-garbage"
    case garbage

    /// The phases whose pods a user can name, in the order in which a pod moves.
    static let nameable: [PodPhase] = [.prepare, .prepared, .run, .exitedGarbage]

    /// The state of a pod in this phase.
    ///
    /// - Parameter locked: Whether someone holds the pod's lock exclusively.
    /// - Returns: The state.
    func state(locked: Bool) -> PodState {
        switch self {
        case .embryo: .embryo
        case .prepare: locked ? .preparing : .abortedPrepare
        case .prepared: .prepared
        case .run: locked ? .running : .exited
        case .exitedGarbage: locked ? .exitedDeleting : .exitedGarbage
        case .garbage: locked ? .deleting : .garbage
        }
    }
}
