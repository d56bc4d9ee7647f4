internal import CLinux
internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

/// Starting a pod's init, in the pod's namespaces and as a child of systemd.
struct PodInitProcess: ~Copyable {
    /// The init.
    let pid: Int32
    /// Closing this lets the init end: systemd knows it by then.
    private let handOver: OwnedFD

    /// Starts the init and returns when it has set up the pod's namespaces.
    ///
    /// - Parameters:
    ///   - pod: The pod, whose lock the caller holds.
    ///   - lock: The descriptor that holds the lock; the init gets it, and holds it while it lives.
    ///   - configuration: How the pod is to be.
    ///   - journal: The pod's journal directory, for the pod's machine to show.
    ///   - program: The path of pod-init.
    ///   - apps: The apps whose ends the init waits for.
    /// - Throws: ``RktError`` when the process cannot be made.
    init(
        pod: PodDirectory,
        lock: borrowing OwnedFD,
        configuration: RuntimeConfiguration,
        journal: String?,
        program: String,
        apps: [String]
    ) throws {
        let isolated = configuration.stage1 == .units
        var namespaces = 0
        var flags = "-"
        if isolated {
            namespaces =
                RKT_NAMESPACE_MOUNT | RKT_NAMESPACE_PID | RKT_NAMESPACE_IPC | RKT_NAMESPACE_UTS
            flags = "p"
            if configuration.network == .none {
                namespaces |= RKT_NAMESPACE_NETWORK
                flags = "pn"
            }
        }
        let status = try pod.directory.directory("status")
        let ends = try pod.directory.open("ends", flags: O_RDWR | O_NONBLOCK)
        let notify = try NotifySocket.connect()
        let ready = try Pipe()
        let handedOver = try Pipe()
        let arguments =
            [
                "pod-init", "pod", pod.uuid.description, configuration.hostname,
                pod.directory.path(of: "rootfs"), journal ?? "-", pod.uuid.hex, flags,
            ] + apps
        let descriptors = [
            status.descriptor.rawValue, pod.directory.descriptor.rawValue, ready.writer.rawValue,
            handedOver.reader.rawValue, ends.rawValue, notify.rawValue, lock.rawValue,
        ]
        var vector: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        vector.append(nil)
        defer { for argument in vector { free(argument) } }
        let child = try system("starting the pod's init \(program)") {
            rkt_clone_init(CInt(namespaces), program, vector, descriptors, CInt(descriptors.count))
        }
        let reader = ready.readEnd()
        let answer = try reader.readAll(limit: 16, name: "the pod's init")
        guard answer == [UInt8(ascii: "r")] else {
            throw RktError(.failed, "the pod's init could not set up the pod; its own message is above this one")
        }
        pid = child
        handOver = handedOver.writeEnd()
    }

    /// Lets the apps' launchers go on: the init's pid is written down.
    borrowing func openGate() throws {
        try handOver.writeAll("g", name: "the pod's init")
    }

    /// Lets the init end when its apps have: systemd has taken it as the pod's main process.
    consuming func handedOver() {}
}

/// Both ends of a pipe, close-on-exec.
struct Pipe: ~Copyable {
    let reader: OwnedFD
    let writer: OwnedFD

    init() throws {
        var ends: [CInt] = [0, 0]
        try system("making a pipe") { rkt_pipe(&ends) }
        reader = OwnedFD(taking: ends[0])
        writer = OwnedFD(taking: ends[1])
    }

    /// The reader; the writer is closed here, so that the reader sees the end when the last other writer goes.
    consuming func readEnd() -> OwnedFD { reader }

    /// The writer; the reader is closed here.
    consuming func writeEnd() -> OwnedFD { writer }
}
