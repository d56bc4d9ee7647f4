import CMusl

/// The filter of system calls for all of a machine. systemd-nspawn would compile its own anew for each, which takes it
/// a quarter of the machine's start; here the runtime compiles one of the same rules once for all machines, and the
/// machine's first process puts it into force.
enum MachineFilter {
    /// Where it is in the machine's root.
    static let path: StaticString = "/rkt/filter"

    /// Where those are kept that have been compiled since the host's boot; a runtime that keeps no filters leaves an
    /// empty one.
    private static let directory: StaticString = "/run/rkt/machine-filter"

    /// Above what the kernel takes: 4096 instructions of 8 bytes.
    private static let limit = 32_769

    /// The compiled filter for a pod; nil where systemd-nspawn is to see to it: for want of one, and where the machine
    /// has other capabilities, which are what the rules are for.
    static func compiled(for pod: PodRecords, _ configuration: PodConfiguration) -> [UInt8]? {
        guard configuration.optional("Capabilities") == nil,
            let rules = contents(in: pod.directory, Text("machine-filter/config.json"))
        else { return nil }
        let name = hexadecimal(hash(rules))
        let kept = Text(directory) + "/" + name
        if !exists(in: AT_FDCWD, kept) { compile(for: pod, configuration, as: name) }
        return contents(kept, limit: limit).flatMap { isWhole($0) ? $0 : nil }
    }

    /// Compiles in a process of its own: whatever fails, from a full `/run` to a filter that the kernel does not take,
    /// there is none then.
    private static func compile(for pod: PodRecords, _ configuration: PodConfiguration, as name: Text) {
        let child = check(fork(), Text("forking"))
        guard child == 0 else {
            while waitpid(child, nil, 0) < 0, __errno_location().pointee == EINTR {}
            return
        }
        // What follows a failure is the parent's.
        Role.beforeFailure = nil
        let bundle = pod.path + "/machine-filter"
        Text(configuration.value("Runtime")).withCString { runtime in
            RuntimeContainer(runtime: runtime, bundle: bundle, id: Text(pod.uuid) + "-machine", isInMachine: false)
                .compileFilter(in: bundle + "/state")
        }
        let found = only(in: bundle + "/state" + RuntimeContainer.filters)
        makeDirectory(Text("/run/rkt"))
        makeDirectory(Text(directory), mode: 0o700)
        let place = openFile(Text(directory), O_RDONLY | O_DIRECTORY)
        // The runtime keeps what it could write of it; a whole one lets this process go on.
        if let found { putIntoForce(found) }
        replaceFile(in: place, name, found ?? [], mode: 0o600)
        _exit(0)
    }

    /// Puts the machine's filter into force, for good; ends the program when there is none.
    static func apply() {
        guard let filter = contents(Text(path), limit: limit), isWhole(filter) else {
            refuse(Text("the filter of system calls is missing"))
        }
        putIntoForce(filter)
    }

    private static func putIntoForce(_ filter: [UInt8]) {
        check(filter.withUnsafeBufferPointer { filter_calls($0.baseAddress, $0.count) }, Text("filtering system calls"))
    }

    /// The content of the one file in a directory; nil when there is none.
    private static func only(in path: Text) -> [UInt8]? {
        guard let directory = openIfThere(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return nil }
        defer { _ = close(directory) }
        var found: [UInt8]?
        forEachEntry(of: directory) { name, _ in found = contents(in: directory, name, limit: limit) }
        return found
    }

    private static func isWhole(_ filter: [UInt8]) -> Bool { !filter.isEmpty && filter.count % 8 == 0 }

    /// FNV-1a, to tell rules apart.
    private static func hash(_ bytes: [UInt8]) -> UInt64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return hash
    }

    private static func hexadecimal(_ number: UInt64) -> Text {
        var text = Text("")
        for place in 0..<16 {
            let digit = UInt8(truncatingIfNeeded: number >> (60 - 4 * UInt64(place)) & 15)
            text.append(byte: digit < 10 ? 48 + digit : 87 + digit)
        }
        return text
    }
}
