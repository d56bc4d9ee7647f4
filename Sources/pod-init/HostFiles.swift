import CMusl

/// The files a pod has below `/run`: its units and its journal's configuration. The other side, which says what the file
/// in the pod's directory looks like, is `Pods/HostFiles.swift`.
enum HostFiles {
    /// Lays them out; one that is there already, the same, is left alone.
    static func install(of pod: PodRecords) {
        guard let all = contents(in: pod.directory, Text("host-files"), limit: 1 << 24) else {
            fail(Text("reading the pod's host-files"))
        }
        var rest = all[...]
        while !rest.isEmpty {
            guard let end = rest.firstIndex(of: 10), let space = rest[..<end].firstIndex(of: 32),
                let length = parseNumber(Array(rest[..<space])), rest.index(after: end) + Int(length) <= rest.endIndex
            else { refuse(Text("the pod's host-files are damaged")) }
            let start = rest.index(after: end)
            install(rest[(space + 1)..<end], rest[start..<(start + Int(length))])
            rest = rest[(start + Int(length))...]
        }
    }

    private static func install(_ path: ArraySlice<UInt8>, _ content: ArraySlice<UInt8>) {
        let components = path.split(separator: 47)
        guard let name = components.last else { refuse(Text("the pod's host-files are damaged")) }
        var parent = Text("/run")
        for component in components.dropLast() {
            parent = parent + "/" + Text(component)
            if !exists(in: AT_FDCWD, parent) { makeDirectory(parent) }
        }
        let directory = openFile(parent, O_RDONLY | O_DIRECTORY)
        let content = Array(content)
        if contents(in: directory, Text(name)) != content { makeFile(in: directory, Text(name), content) }
        _ = close(directory)
    }
}
