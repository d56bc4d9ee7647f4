internal import Manifests

/// The names a pod has outside its directory.
enum PodNames {
    /// The unit a user starts and stops.
    static func podUnit(_ uuid: PodUUID) -> String { "pod@\(uuid).service" }
    /// The unit of an app.
    static func appUnit(_ uuid: PodUUID, _ app: String) -> String { "rkt-\(uuid)-\(app).service" }
    /// The slice of the pod's apps.
    static func slice(_ uuid: PodUUID) -> String { "rkt-\(uuid.hex).slice" }
    /// The scope of a machine that `rkt run` runs from a session or from no unit.
    static func scope(_ uuid: PodUUID) -> String { "rkt-\(uuid).scope" }
    /// The machine, and the journal namespace.
    static func machine(_ uuid: PodUUID) -> String { "rkt-\(uuid)" }
    /// The journald of its journal namespace.
    static func journald(_ uuid: PodUUID) -> String { "systemd-journald@\(machine(uuid)).service" }
    /// Patterns for all units of a pod, with those of its journal namespace, which systemd brings.
    static func unitPatterns(_ uuid: PodUUID) -> [String] {
        [podUnit(uuid), "rkt-\(uuid)-*.service", scope(uuid), slice(uuid), "systemd-journald*@\(machine(uuid)).*"]
    }
    /// The link by which a unit finds its pod's directory.
    static func runtimeLink(_ uuid: PodUUID) -> String { "\(runtimeLinks)/\(uuid)" }
    /// The directory of those links.
    static let runtimeLinks = "/run/rkt/pods"
}
