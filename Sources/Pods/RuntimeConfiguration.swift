internal import Diagnostics
internal import LinuxOS

/// `runtime-config` in the pod's directory: what starting the pod needs to know beside the manifest.
public struct RuntimeConfiguration: Sendable, Hashable {
    /// What isolates the pod.
    public enum Stage1: String, Sendable {
        /// Namespaces and units of the host's systemd.
        case units
        /// Units of the host's systemd in the host's namespaces.
        case fly
    }

    /// The pod's network.
    public enum Network: String, Sendable {
        /// A network namespace with nothing but a loopback.
        case none
        /// The host's own.
        case host
    }

    /// Where the apps' output goes.
    public enum Journal: String, Sendable {
        /// A journal namespace of the pod's own.
        case namespace
        /// The host's journal.
        case host
    }

    /// The pod's host name; empty under fly, where it is the host's.
    public var hostname: String
    /// What isolates the pod.
    public var stage1: Stage1
    /// The pod's network.
    public var network: Network
    /// Where the apps' output goes.
    public var journal: Journal

    static let fileName = "runtime-config"

    init(hostname: String, stage1: Stage1, network: Network, journal: Journal) {
        self.hostname = hostname
        self.stage1 = stage1
        self.network = network
        self.journal = journal
    }

    /// The file's content: a line per setting. pod-init reads it too, and has no JSON.
    func encoded() -> [UInt8] {
        let settings = [
            ("Hostname", hostname), ("Stage1", stage1.rawValue), ("Network", network.rawValue),
            ("Journal", journal.rawValue),
        ]
        return settings.flatMap { Array("\($0.0)=\($0.1)\n".utf8) }
    }

    init(of pod: PodDirectory) throws {
        let path = pod.directory.path(of: Self.fileName)
        let lines = try pod.directory.readText(Self.fileName, limit: 65_536).split(separator: "\n")
        func value(_ key: String) throws -> String {
            guard let line = lines.first(where: { $0.hasPrefix("\(key)=") }) else {
                throw RktError(.invalidData, "\(path) does not say \(key)")
            }
            return String(line.dropFirst(key.count + 1))
        }
        func choice<T: RawRepresentable<String>>(_ key: String) throws -> T {
            let text = try value(key)
            guard let choice = T(rawValue: text) else {
                throw RktError(.invalidData, "\(path) says \(key)=\(text), which this rkt does not know")
            }
            return choice
        }
        hostname = try value("Hostname")
        stage1 = try choice("Stage1")
        network = try choice("Network")
        journal = try choice("Journal")
    }
}
