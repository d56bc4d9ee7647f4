internal import Diagnostics

/// A volume of a pod manifest: a directory of the host's, or an empty one of the pod's.
public struct PodVolume: Sendable, Hashable, Codable {
    /// Where a volume comes from.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// A file or directory of the host's.
        case host
        /// A directory that is empty when the pod starts.
        case empty
    }

    /// The volume's name.
    public var name: ACName
    /// Where it comes from.
    public var kind: Kind
    /// The path on the host, absolute; host volumes only.
    public var source: String?
    /// Whether the apps cannot write to it; as the mount point says when nil.
    public var readOnly: Bool?
    /// Whether what is mounted below it comes along; host volumes only.
    public var recursive: Bool?
    /// The directory's permissions as octal digits, `0755` when nil; empty volumes only.
    public var mode: String?
    /// The directory's owner, 0 when nil; empty volumes only.
    public var uid: UInt32?
    /// The directory's group, 0 when nil; empty volumes only.
    public var gid: UInt32?

    /// Describes a volume; what it has besides is set afterwards.
    ///
    /// - Parameters:
    ///   - name: The volume's name.
    ///   - kind: Where it comes from.
    ///   - source: The path on the host, for a host volume.
    public init(name: ACName, kind: Kind, source: String? = nil) {
        self.name = name
        self.kind = kind
        self.source = source
    }

    /// Checks what the types do not say.
    ///
    /// - Throws: ``RktError`` with `invalidData`, naming the volume and the field.
    public func validate() throws {
        switch kind {
        case .host:
            guard let source, source.utf8.first == UInt8(ascii: "/"), !source.utf8.contains(0) else {
                throw refusal("its source is no absolute path")
            }
            guard mode == nil, uid == nil, gid == nil else { throw refusal("mode, uid and gid are for empty volumes") }
        case .empty:
            guard source == nil, recursive == nil else { throw refusal("source and recursive are for host volumes") }
            // The kernel takes the highest number as "do not change".
            guard uid != .max, gid != .max else { throw refusal("its uid or gid is no number of a user or group") }
            guard let mode else { return }
            guard (1...4).contains(mode.utf8.count), mode.utf8.allSatisfy({ (48...55).contains($0) }) else {
                throw refusal("its mode \(mode.debugDescription) is not 1 to 4 octal digits")
            }
        }
    }

    private func refusal(_ what: String) -> RktError { RktError(.invalidData, "volume \"\(name)\": \(what)") }
}

/// A port of an app that the host forwards to it.
public struct ForwardedPort: Sendable, Hashable, Codable {
    /// The name of the app's port.
    public var name: ACName
    /// The port on the host.
    public var hostPort: Int
    /// The host's address to listen on; all when nil.
    public var hostIP: String?
    /// The port in the pod; the app's port of the same name when nil.
    public var podPort: AppcApp.Port?

    /// Describes a forwarded port.
    ///
    /// - Parameters:
    ///   - name: The name of the app's port.
    ///   - hostPort: The port on the host.
    ///   - hostIP: The host's address.
    ///   - podPort: The port in the pod.
    public init(name: ACName, hostPort: Int, hostIP: String? = nil, podPort: AppcApp.Port? = nil) {
        self.name = name
        self.hostPort = hostPort
        self.hostIP = hostIP
        self.podPort = podPort
    }
}
