internal import Diagnostics
internal import LinuxOS
internal import Manifests

/// The capabilities that this process and its children may have at all.
enum BoundingSet {
    /// The capabilities, of those that have a name.
    static func capabilities() throws -> [Capability] {
        let status = try Directory(path: "/proc/self").readText("status")
        guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapBnd:") }),
            let mask = UInt64(line.dropFirst(7).drop { $0 == "\t" || $0 == " " }, radix: 16)
        else { throw RktError(.invalidData, "/proc/self/status does not tell the capabilities") }
        return Capability.all.enumerated().filter { mask >> UInt64($0.offset) & 1 == 1 }.map(\.element)
    }
}
