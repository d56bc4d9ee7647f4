internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The range of the host's users that are a pod's own, where it has users of its own: 65536 of them, no other pod's.
enum UserRange {
    /// The part of systemd's range for containers that is taken from: nine digits are enough for all (UIDS-GIDS in
    /// systemd's documentation: 524288 to 1879048191).
    private static let candidates = 8..<15_000

    /// Finds one.
    ///
    /// - Parameter data: The data directory.
    /// - Returns: The host's id that will be the pod's root.
    /// - Throws: ``RktError`` when the pods cannot be read, or none is left.
    static func choose(in data: DataDirectory) throws -> UInt32 {
        let pods = try PodLookup(data: data).pods(in: [.prepare, .prepared, .run])
        let taken = Set(pods.compactMap { (try? RuntimeConfiguration(of: $0))?.userRange })
        for _ in 0..<1000 {
            let base = UInt32(Int.random(in: candidates)) * 65_536
            if !taken.contains(base) { return base }
        }
        throw RktError(.limitExceeded, "no users are left for another pod with private users")
    }
}
