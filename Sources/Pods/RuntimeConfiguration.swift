internal import Diagnostics
internal import FoundationEssentials
internal import LinuxOS

/// `runtime-config` in the pod's directory: what starting the pod needs to know beside the manifest.
public struct RuntimeConfiguration: Codable, Sendable, Hashable {
    /// What isolates the pod.
    public enum Stage1: String, Codable, Sendable {
        /// Namespaces and units of the host's systemd.
        case units
        /// Units of the host's systemd in the host's namespaces.
        case fly
    }

    /// The pod's network.
    public enum Network: String, Codable, Sendable {
        /// A network namespace with nothing but a loopback.
        case none
        /// The host's own.
        case host
    }

    /// Where the apps' output goes.
    public enum Journal: String, Codable, Sendable {
        /// A journal namespace of the pod's own.
        case namespace
        /// The host's journal.
        case host
    }

    /// The pod's host name.
    public var hostname: String
    /// What isolates the pod.
    public var stage1: Stage1
    /// The pod's network.
    public var network: Network
    /// Where the apps' output goes.
    public var journal: Journal

    enum CodingKeys: String, CodingKey {
        case hostname = "Hostname"
        case stage1 = "Stage1"
        case network = "Network"
        case journal = "Journal"
    }

    static let fileName = "runtime-config"

    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        return Array(try encoder.encode(self))
    }

    init(hostname: String, stage1: Stage1, network: Network, journal: Journal) {
        self.hostname = hostname
        self.stage1 = stage1
        self.network = network
        self.journal = journal
    }

    init(of pod: PodDirectory) throws {
        let bytes = try pod.directory.read(Self.fileName, limit: 65_536)
        self = try withContext("reading \(pod.directory.path(of: Self.fileName))") {
            try JSONDecoder().decode(Self.self, from: Data(bytes))
        }
    }
}
