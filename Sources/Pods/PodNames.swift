internal import Manifests

/// The names a pod has outside its directory (design, section 4).
enum PodNames {
    /// The unit a user starts and stops.
    static func podUnit(_ uuid: PodUUID) -> String { "pod@\(uuid).service" }
    /// The unit of an app.
    static func appUnit(_ uuid: PodUUID, _ app: String) -> String { "rkt-\(uuid)-\(app).service" }
    /// The slice of the pod's apps.
    static func slice(_ uuid: PodUUID) -> String { "rkt-\(uuid.hex).slice" }
    /// The machine, and the journal namespace.
    static func machine(_ uuid: PodUUID) -> String { "rkt-\(uuid)" }
    /// The units of the pod's journal namespace, which systemd brings; in the order in which they are to be stopped:
    /// the one that syncs (since 257) needs the others.
    static func journalUnits(_ uuid: PodUUID) -> [String] {
        let name = "@\(machine(uuid))"
        return [
            "systemd-journald-sync\(name).service", "systemd-journald-varlink\(name).socket",
            "systemd-journald\(name).socket", "systemd-journald\(name).service",
        ]
    }
    /// The link by which a unit finds its pod's directory.
    static func runtimeLink(_ uuid: PodUUID) -> String { "\(runtimeLinks)/\(uuid)" }
    /// The directory of those links.
    static let runtimeLinks = "/run/rkt/pods"
}
