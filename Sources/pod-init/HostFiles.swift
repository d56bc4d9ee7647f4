import CMusl

/// The files a pod has below `/run`: its units and its journal's configuration. The other side, which says what the file
/// in the pod's directory looks like, is `Pods/HostFiles.swift`.
enum HostFiles {
    /// Lays them out; one that is there already, the same, is left alone.
    static func install(of pod: PodRecords) {
        guard let all = contents(in: pod.directory, Text("host-files"), limit: 1 << 24) else {
            fail(Text("reading ") + pod.path + "/host-files")
        }
        guard let files = parse(all[...]) else {
            refuse(pod.path + "/host-files is damaged: remove the pod and prepare it again")
        }
        for (directories, name, content) in files { install(directories, name, content) }
    }

    private typealias File = (directories: ArraySlice<ArraySlice<UInt8>>, name: ArraySlice<UInt8>, content: [UInt8])

    private static func parse(_ all: ArraySlice<UInt8>) -> [File]? {
        var rest = all
        var files: [File] = []
        repeat {
            guard let end = rest.firstIndex(of: 10), let space = rest[..<end].firstIndex(of: 32) else { return nil }
            let digits = rest[..<space]
            let start = rest.index(after: end)
            guard digits.allSatisfy({ $0 >= 48 && $0 <= 57 }), let length = parseNumber(Array(digits)),
                start + Int(length) <= rest.endIndex
            else { return nil }
            let components = rest[(space + 1)..<end].split(separator: 47, omittingEmptySubsequences: false)
            for component in components where component.isEmpty || equal(component, ".") || equal(component, "..") {
                return nil
            }
            guard let name = components.last else { return nil }
            files.append((components.dropLast(), name, Array(rest[start..<(start + Int(length))])))
            rest = rest[(start + Int(length))...]
        } while !rest.isEmpty
        return files
    }

    private static func install(
        _ directories: ArraySlice<ArraySlice<UInt8>>,
        _ name: ArraySlice<UInt8>,
        _ content: [UInt8]
    ) {
        var parent = Text("/run")
        for component in directories {
            parent = parent + "/" + Text(component)
            if !exists(in: AT_FDCWD, parent) { makeDirectory(parent) }
        }
        let directory = openFile(parent, O_RDONLY | O_DIRECTORY)
        if contents(in: directory, Text(name)) != content { makeFile(in: directory, Text(name), content) }
        _ = close(directory)
    }
}
