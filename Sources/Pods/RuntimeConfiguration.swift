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
        /// A machine with a systemd of its own, in systemd-nspawn.
        case nspawn
        /// What an image brings: its entry points do all by themselves.
        case image
    }

    /// A stage1 that is an image.
    public struct Stage1Programs: Sendable, Hashable {
        /// The image's full id.
        public var imageID: String
        /// The image's name, with its version if it has one.
        public var imageName: String
        /// The entry point that runs the pod: its path in the image.
        public var run: String
        /// The one that stops it; nil for a signal.
        public var stop: String?
        /// The one that cleans up; nil for none.
        public var collect: String?
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
    /// What is in the image, where the stage1 is one.
    public var programs: Stage1Programs?
    /// The pod's network.
    public var network: Network
    /// Where the apps' output goes.
    public var journal: Journal
    /// The host's user that is root in the pod; nil where the pod has no users of its own.
    public var userRange: UInt32?
    /// The path of the OCI runtime, where `pod-start` runs it too.
    public var runtime: String?
    /// The capabilities, by name, that some app has and apps usually have not.
    public var capabilities: [String] = []

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
        let range = userRange.map { [("UserRange", "\($0)")] } ?? []
        let more = capabilities.isEmpty ? [] : [("Capabilities", capabilities.joined(separator: ","))]
        let runtime = runtime.map { [("Runtime", $0)] } ?? []
        return (settings + range + runtime + more + (programs?.settings ?? [])).flatMap {
            Array("\($0.0)=\($0.1)\n".utf8)
        }
    }

    init(of pod: PodDirectory) throws {
        let path = pod.directory.path(of: Self.fileName)
        let lines = try pod.directory.readText(Self.fileName, limit: 65_536).split(separator: "\n")
        func optional(_ key: String) -> String? {
            lines.first { $0.hasPrefix("\(key)=") }.map { String($0.dropFirst(key.count + 1)) }
        }
        func value(_ key: String) throws -> String {
            guard let value = optional(key) else { throw RktError(.invalidData, "\(path) does not say \(key)") }
            return value
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
        userRange = optional("UserRange").flatMap { UInt32($0) }
        if stage1 == .image {
            programs = Stage1Programs(
                imageID: try value("Stage1ImageID"),
                imageName: try value("Stage1ImageName"),
                run: try value("Stage1Run"),
                stop: optional("Stage1Stop"),
                collect: optional("Stage1GC")
            )
        }
        runtime = optional("Runtime")
        capabilities = optional("Capabilities")?.split(separator: ",").map(String.init) ?? []
    }
}

extension RuntimeConfiguration.Stage1Programs {
    fileprivate var settings: [(String, String)] {
        let all: [(String, String?)] = [
            ("Stage1ImageID", imageID), ("Stage1ImageName", imageName), ("Stage1Run", run), ("Stage1Stop", stop),
            ("Stage1GC", collect),
        ]
        return all.compactMap { key, value in value.map { (key, $0) } }
    }
}
