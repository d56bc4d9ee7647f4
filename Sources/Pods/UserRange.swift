internal import Diagnostics
internal import Glibc
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
        let subordinate = ["/etc/subuid", "/etc/subgid"].flatMap(subordinateRanges)
        for _ in 0..<1000 {
            let base = UInt32(Int.random(in: candidates)) * 65_536
            if !taken.contains(base), !isOthers(base, subordinate) { return base }
        }
        throw RktError(.limitExceeded, "no users are left for another pod with private users")
    }

    /// Whether a range is an unprivileged user's, for containers of their own, or one that systemd-nspawn runs another
    /// container with.
    private static func isOthers(_ base: UInt32, _ subordinate: [ClosedRange<UInt64>]) -> Bool {
        let range = UInt64(base)...UInt64(base) + 65_535
        return subordinate.contains { $0.overlaps(range) } || access("/run/systemd/nspawn-uid/\(base)", F_OK) == 0
    }

    /// The ranges in a file as of subuid(5): `NAME:FIRST:COUNT`.
    private static func subordinateRanges(_ path: String) -> [ClosedRange<UInt64>] {
        guard let slash = path.lastIndex(of: "/"), let directory = try? Directory(path: String(path[..<slash])),
            let text = try? directory.readText(String(path[path.index(after: slash)...]))
        else { return [] }
        return text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count == 3, let first = UInt32(fields[1]), let count = UInt32(fields[2]), count > 0 else {
                return nil
            }
            return UInt64(first)...UInt64(first) + UInt64(count) - 1
        }
    }
}
