internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// What others ask of the `rkt run` that a pod is below, by messages to its socket.
enum ForegroundRequest: String {
    /// To let the pod end.
    case stop = "RKT_STOP"
    /// To kill it.
    case kill = "RKT_KILL"
    /// To write a byte into the pipe that comes with it as soon as the pod's apps have started; it is closed in any
    /// case.
    case tellWhenReady = "RKT_TELL_READY"

    /// The socket's name in the pod's directory.
    static let socketName = "supervisor"

    /// The socket of the command that a pod is below.
    static func socket(of uuid: PodUUID) -> String { "\(PodNames.runtimeLink(uuid))/\(socketName)" }

    /// Sends it.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - descriptor: What goes with it; -1 for nothing.
    /// - Returns: False when the pod is below no command.
    /// - Throws: ``RktError`` when it cannot be sent.
    func send(to uuid: PodUUID, with descriptor: Int32 = -1) throws -> Bool {
        do {
            try NotifySocket.send("\(rawValue)=1", to: Self.socket(of: uuid), with: descriptor)
            return true
        } catch let error as RktError where [.notFound, .unavailable].contains(error.code) {
            return false
        }
    }

    /// Waits until the apps of a pod that is below a command have started.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - deadline: When to give up; nil for as long as it takes.
    /// - Returns: Whether they have; nil when the pod is below no command.
    /// - Throws: ``RktError`` with `timeout`.
    static func waitUntilReady(_ uuid: PodUUID, until deadline: ContinuousClock.Instant?) async throws -> Bool? {
        let pipe = try Pipe()
        do {
            let writer = pipe.takeWriter()
            guard try tellWhenReady.send(to: uuid, with: writer.rawValue) else { return nil }
        }
        return try await OwnThread.run { interruption in
            guard try interruption.wait(for: pipe.reader.rawValue, until: deadline) else {
                throw RktError(.timeout, "pod \"\(uuid)\" was not ready in time")
            }
            return try !pipe.reader.readAll(limit: 16, name: "the answer of rkt run").isEmpty
        }
    }
}
