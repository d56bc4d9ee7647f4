import CMusl

/// What `runtime-config` in the pod's directory says; the other side is `Pods/RuntimeConfiguration.swift`.
struct PodConfiguration {
    private let lines: [ArraySlice<UInt8>]

    /// Reads that of a pod's directory.
    init(in directory: Int32) {
        guard let content = contents(in: directory, Text("runtime-config"), limit: 65_536) else {
            fail(Text("reading runtime-config"))
        }
        lines = content.split(separator: 10)
    }

    /// Whether the pod has namespaces of its own.
    var isIsolated: Bool { !equal(value("Stage1"), "fly") }
    /// Whether it has a systemd of its own.
    var isMachine: Bool { equal(value("Stage1"), "nspawn") }
    /// Whether a program of an image runs it, which does all by itself.
    var isImage: Bool { equal(value("Stage1"), "image") }
    /// Whether it has a network of its own.
    var hasOwnNetwork: Bool { isIsolated && equal(value("Network"), "none") }

    /// The value of a key; ends the program when there is none.
    func value(_ key: StaticString) -> ArraySlice<UInt8> {
        if let value = optional(key) { return value }
        refuse(Text("runtime-config does not say ") + key)
    }

    /// The value of a key that need not be there.
    func optional(_ key: StaticString) -> ArraySlice<UInt8>? {
        for line in lines {
            guard let middle = line.firstIndex(of: 61), equal(line[..<middle], key) else { continue }
            return line[(middle + 1)...]
        }
        return nil
    }
}
