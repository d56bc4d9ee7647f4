internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// What a service tells the systemd that started it, and what it got from it.
public enum Notify {
    /// Something to tell.
    public enum State: Sendable, Hashable {
        /// The start is complete (`READY=1`).
        case ready
        /// The configuration is being loaded again; at which `CLOCK_MONOTONIC` time, in microseconds.
        case reloading(since: UInt64)
        /// The service is ending (`STOPPING=1`).
        case stopping
        /// One line for `systemctl status`.
        case status(String)
        /// The service's main process.
        case mainPID(Int32)
        /// The errno of a failure.
        case errno(Int32)
        /// The watchdog's sign of life.
        case watchdog
        /// Gives more time for start or stop, in microseconds.
        case extendTimeout(UInt64)

        var assignment: String {
            switch self {
            case .ready: "READY=1"
            case .reloading(let since): "RELOADING=1\nMONOTONIC_USEC=\(since)"
            case .stopping: "STOPPING=1"
            // A line break would begin another assignment.
            case .status(let text): "STATUS=" + String(text.map { $0.isNewline || $0 == "\0" ? " " : $0 })
            case .mainPID(let pid): "MAINPID=\(pid)"
            case .errno(let number): "ERRNO=\(number)"
            case .watchdog: "WATCHDOG=1"
            case .extendTimeout(let microseconds): "EXTEND_TIMEOUT_USEC=\(microseconds)"
            }
        }
    }

    /// Whether a service manager wants to be told.
    public static var isWanted: Bool { getenv("NOTIFY_SOCKET") != nil }

    /// Tells the service manager, all in one message.
    ///
    /// - Parameter states: What to tell.
    /// - Returns: False when there is nobody to be told.
    /// - Throws: ``RktError`` when it cannot be reached.
    @discardableResult
    public static func send(_ states: State...) throws -> Bool {
        guard isWanted, !states.isEmpty else { return false }
        let library = try LibSystemd.shared()
        let result = library.notify(0, states.map(\.assignment).joined(separator: "\n"))
        guard result >= 0 else { throw RktError(errno: -result, "notifying the service manager") }
        return result > 0
    }

    /// Waits until the service manager has taken in all that was sent before: a sender may end only then without what
    /// it said being lost. Blocks the thread.
    ///
    /// - Parameter timeout: How long to wait at most.
    /// - Returns: False when there is nobody to be told.
    /// - Throws: ``RktError`` with `timeout`.
    @discardableResult
    public static func barrier(timeout: Duration) throws -> Bool {
        guard isWanted else { return false }
        let library = try LibSystemd.shared()
        let microseconds = UInt64(clamping: Int64(max(timeout, .zero) / .microseconds(1)))
        let result = library.barrier(0, microseconds)
        guard result >= 0 else { throw RktError(errno: -result, "waiting for the service manager") }
        return result > 0
    }

    /// How often the service manager wants a sign of life; a service sends one after half that time.
    ///
    /// - Returns: Nil when it wants none.
    /// - Throws: ``RktError`` when the environment is malformed.
    public static func watchdogInterval() throws -> Duration? {
        guard getenv("WATCHDOG_USEC") != nil else { return nil }
        var microseconds: UInt64 = 0
        let result = try LibSystemd.shared().watchdog(0, &microseconds)
        guard result >= 0 else { throw RktError(errno: -result, "reading WATCHDOG_USEC") }
        return result > 0 ? .microseconds(Int64(clamping: microseconds)) : nil
    }

    /// A socket or file that the service manager opened for this process.
    public struct ListenDescriptor: Sendable, Hashable {
        /// The open descriptor; whoever uses it takes it over, once.
        public let descriptor: Int32
        /// `FileDescriptorName=` of the socket unit; `unknown` when it has none.
        public let name: String
    }

    /// Takes the descriptors that were passed in, set to close-on-exec; a second call gives none.
    ///
    /// - Returns: The descriptors in the service manager's order.
    /// - Throws: ``RktError`` when the environment is malformed.
    public static func takeListenDescriptors() throws -> [ListenDescriptor] {
        guard getenv("LISTEN_FDS") != nil else { return [] }
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = try LibSystemd.shared().listenDescriptors(1, &names)
        guard count >= 0 else { throw RktError(errno: -count, "taking the descriptors of LISTEN_FDS") }
        defer { free(names) }
        // SD_LISTEN_FDS_START
        return (0..<count).map { index in
            let name = names?[Int(index)]
            defer { free(name) }
            return ListenDescriptor(descriptor: 3 + index, name: name.map { String(cString: $0) } ?? "")
        }
    }
}
