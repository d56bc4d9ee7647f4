internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

/// The data directory (`--dir`): images and pods.
public struct DataDirectory: Sendable {
    /// Where it is; absolute.
    public let path: String

    /// Where word is left of pods that are not in the default one.
    let links: LastingLinks

    /// Where it is unless `--dir` or the configuration says otherwise.
    public static let defaultPath = "/var/lib/rkt"

    /// Names a data directory; nothing is made or opened yet.
    ///
    /// - Parameter path: An absolute path.
    public init(path: String = Self.defaultPath) {
        self.init(path: path, links: LastingLinks())
    }

    init(path: String, links: LastingLinks) {
        self.path = path
        self.links = links
    }

    /// The image store's directory.
    public var storePath: String { "\(path)/store" }

    /// The directory of a phase's pods, made if it is missing.
    func ensurePhase(_ phase: PodPhase) throws -> Directory {
        try withContext("opening the data directory \(path)") {
            let pods = try Directory.ensure(path: "\(path)/pods", mode: 0o750)
            return try pods.ensureDirectory(phase.rawValue, mode: 0o750)
        }
    }

    /// The directory of a phase's pods; nil when there is none yet.
    func phase(_ phase: PodPhase) throws -> Directory? {
        do {
            return try Directory(path: "\(path)/pods/\(phase.rawValue)")
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }

    /// The lock that keeps images from being collected while a pod takes hold of them: shared to prepare, exclusive to
    /// collect. It is held as long as the returned file is open.
    func lockImages(_ mode: FileLock.Mode) throws -> OwnedFD {
        let file = try openImageLock()
        try FileLock.lock(mode, file, name: "prepareLock")
        return file
    }

    /// Whether a pod is being prepared right now: then someone holds that lock.
    func isPreparing() throws -> Bool {
        let file = try openImageLock()
        return try !FileLock.tryLock(.exclusive, file, name: "prepareLock")
    }

    private func openImageLock() throws -> OwnedFD {
        let locks = try Directory.ensure(path: "\(path)/locks", mode: 0o755)
        let file = try locks.open("prepareLock", flags: Directory.lockFileFlags, mode: 0o600)
        // Whoever can open it can hold it: earlier versions let the group.
        _ = fchmod(file.rawValue, 0o600)
        return file
    }
}
