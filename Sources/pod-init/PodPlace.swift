/// Where a pod's directory is for what runs in the pod's units, and what those are called.
struct PodPlace {
    /// The pod's directory: the part of it that a machine has, in one.
    let path: Text
    /// Whether this is in a pod that is a machine.
    let isMachine: Bool
    private let uuid: UnsafePointer<CChar>

    /// - Parameters:
    ///   - uuid: The pod.
    ///   - data: The data directory; `-` in a machine.
    init(_ uuid: UnsafePointer<CChar>, data: UnsafePointer<CChar>) {
        self.uuid = uuid
        isMachine = equal(data, "-")
        path = isMachine ? Text("/rkt") : Text(data) + "/pods/run/" + uuid
    }

    /// The unit of an app.
    func unit(_ app: Text) -> Text {
        isMachine ? app + ".service" : Text("rkt-") + uuid + "-" + app + ".service"
    }
}
