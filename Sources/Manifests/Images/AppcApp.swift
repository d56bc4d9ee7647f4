internal import Diagnostics

/// The `app` of an appc image or pod manifest: what to run and how.
public struct AppcApp: Sendable, Hashable, Codable {
    /// The command line; the first element is the program.
    public var exec: [String]
    /// The user: a name, a number, or an absolute path in the image whose owner it is.
    public var user: String
    /// The group, likewise.
    public var group: String
    /// Further groups by number.
    public var supplementaryGIDs: [UInt32]?
    /// Commands around the app's life.
    public var eventHandlers: [EventHandler]?
    /// Where the app starts, absolute; `/` when nil.
    public var workingDirectory: String?
    /// The environment, in order.
    public var environment: [NameValue]?
    /// Where volumes can go.
    public var mountPoints: [MountPoint]?
    /// The ports the app listens on.
    public var ports: [Port]?
    /// Limits and permissions, not interpreted here.
    public var isolators: [AppcIsolator]?
    /// Free annotations of the user.
    public var userAnnotations: [String: String]?
    /// Free labels of the user.
    public var userLabels: [String: String]?

    /// Makes an app with the three parts that are required; all else is set afterwards.
    ///
    /// - Parameters:
    ///   - exec: The command line.
    ///   - user: The user.
    ///   - group: The group.
    public init(exec: [String], user: String, group: String) {
        self.exec = exec
        self.user = user
        self.group = group
    }

    /// A command that runs before or after the app.
    public struct EventHandler: Sendable, Hashable, Codable {
        /// `pre-start` or `post-stop`.
        public var name: String
        /// The command line.
        public var exec: [String]

        /// Makes a handler.
        ///
        /// - Parameters:
        ///   - name: `pre-start` or `post-stop`.
        ///   - exec: The command line.
        public init(name: String, exec: [String]) {
            self.name = name
            self.exec = exec
        }
    }

    /// A place in the app's root that a volume can be mounted on.
    public struct MountPoint: Sendable, Hashable, Codable {
        /// Its name.
        public var name: ACName
        /// Its absolute path.
        public var path: String
        /// Whether a volume there is read-only.
        public var readOnly: Bool?

        /// Makes a mount point.
        ///
        /// - Parameters:
        ///   - name: Its name.
        ///   - path: Its absolute path.
        ///   - readOnly: Whether a volume there is read-only.
        public init(name: ACName, path: String, readOnly: Bool? = nil) {
            self.name = name
            self.path = path
            self.readOnly = readOnly
        }
    }

    /// A port, or a range of ports, the app listens on.
    public struct Port: Sendable, Hashable, Codable {
        /// Its name.
        public var name: ACName
        /// `tcp` or `udp`.
        public var `protocol`: String
        /// The (first) port's number.
        public var port: Int
        /// How many ports the range has; 1 when nil.
        public var count: Int?
        /// Whether the socket is made by the service manager.
        public var socketActivated: Bool?

        /// Makes a port.
        ///
        /// - Parameters:
        ///   - name: Its name.
        ///   - protocol: `tcp` or `udp`.
        ///   - port: The number.
        ///   - count: The size of the range.
        ///   - socketActivated: Whether the service manager makes the socket.
        public init(
            name: ACName,
            protocol: String,
            port: Int,
            count: Int? = nil,
            socketActivated: Bool? = nil
        ) {
            self.name = name
            self.protocol = `protocol`
            self.port = port
            self.count = count
            self.socketActivated = socketActivated
        }
    }
}

/// A named limit or permission of an appc app, kept as it came.
public struct AppcIsolator: Sendable, Hashable, Codable {
    /// The isolator's name, such as `resource/memory`.
    public var name: String
    /// Its value.
    public var value: JSONValue

    /// Makes an isolator.
    ///
    /// - Parameters:
    ///   - name: Its name.
    ///   - value: Its value.
    public init(name: String, value: JSONValue) {
        self.name = name
        self.value = value
    }
}

/// A name with a value: environment variables, labels and annotations of appc.
public struct NameValue: Sendable, Hashable, Codable {
    /// The name.
    public var name: String
    /// The value.
    public var value: String

    /// Makes a pair.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - value: The value.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

extension AppcApp {
    /// Checks what the types do not say.
    ///
    /// - Throws: ``RktError`` with `invalidData` naming the field.
    public func validate() throws {
        guard exec.first != "" else { throw Self.invalid("exec starts with an empty program name") }
        guard !user.isEmpty else { throw Self.invalid("user is required and empty") }
        guard !group.isEmpty else { throw Self.invalid("group is required and empty") }
        if let directory = workingDirectory, !directory.isEmpty, !directory.hasPrefix("/") {
            throw Self.invalid("workingDirectory \(directory.debugDescription) is not an absolute path")
        }
        try validateHandlers()
        var names: Set<String> = []
        for variable in environment ?? [] {
            guard Self.isVariableName(variable.name) else {
                throw Self.invalid("environment has the invalid name \(variable.name.debugDescription)")
            }
            guard names.insert(variable.name).inserted else {
                throw Self.invalid("environment names \(variable.name) twice")
            }
            guard !variable.value.utf8.contains(0) else {
                throw Self.invalid("environment variable \(variable.name) holds a NUL byte")
            }
        }
        try validatePlaces()
        let strings = exec + [user, group, workingDirectory ?? ""]
        guard !strings.contains(where: { $0.utf8.contains(0) }) else {
            throw Self.invalid("exec, user, group or workingDirectory holds a NUL byte")
        }
    }

    private func validateHandlers() throws {
        var names: Set<String> = []
        for handler in eventHandlers ?? [] {
            guard ["pre-start", "post-stop"].contains(handler.name) else {
                throw Self.invalid("eventHandlers has the unknown name \(handler.name.debugDescription)")
            }
            guard names.insert(handler.name).inserted else {
                throw Self.invalid("eventHandlers names \(handler.name) twice")
            }
            guard let program = handler.exec.first, !program.isEmpty else {
                throw Self.invalid("the \(handler.name) event handler has no program")
            }
        }
    }

    private func validatePlaces() throws {
        var points: Set<ACName> = []
        for point in mountPoints ?? [] {
            guard point.path.hasPrefix("/"), !point.path.utf8.contains(0) else {
                throw Self.invalid("mount point \(point.name) has \(point.path.debugDescription), not an absolute path")
            }
            guard points.insert(point.name).inserted else {
                throw Self.invalid("mountPoints names \(point.name) twice")
            }
        }
        var names: Set<ACName> = []
        for port in ports ?? [] {
            let count = port.count ?? 1
            guard (1...65_535).contains(port.port), (1...65_535).contains(count), port.port + count <= 65_536 else {
                throw Self.invalid("port \(port.name) is not within 1 to 65535")
            }
            guard ["tcp", "udp"].contains(port.protocol) else {
                throw Self.invalid(
                    "port \(port.name) has the protocol \(port.protocol.debugDescription), not tcp or udp"
                )
            }
            guard names.insert(port.name).inserted else { throw Self.invalid("ports names \(port.name) twice") }
        }
    }

    private static func invalid(_ message: String) -> RktError {
        RktError(.invalidData, "app: \(message)")
    }

    static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first) else {
            return false
        }
        for (index, byte) in name.utf8.enumerated() {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                continue
            case UInt8(ascii: "."), UInt8(ascii: "-"):
                if index == 0 { return false }
            default: return false
            }
        }
        return true
    }
}
