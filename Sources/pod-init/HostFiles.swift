import CMusl

/// The files that were generated for a pod: its units and what belongs to them, which go below the host's `/run`
/// (`host-files`) or into the root of a pod that is a machine (`machine-files`). The other side, which says what these
/// files in the pod's directory look like, is `Pods/HostFiles.swift`.
struct HostFiles {
    private let files: [File]

    /// Reads them.
    ///
    /// - Parameters:
    ///   - list: The file in the pod's directory.
    ///   - pod: The pod.
    init(_ list: StaticString, of pod: PodRecords) {
        guard let all = contents(in: pod.directory, Text(list), limit: 1 << 24) else {
            fail(Text("reading ") + pod.path + "/" + list)
        }
        guard let files = Self.parse(all[...]) else {
            refuse(pod.path + "/" + list + " is damaged: remove the pod and prepare it again")
        }
        self.files = files
    }

    /// Lays them out; one that is there already, the same, is left alone.
    ///
    /// - Parameter parent: The directory that the paths are relative to.
    func install(to parent: Text) {
        for (directories, name, content) in files { Self.install(directories, name, content, parent) }
    }

    /// Lays them out in a tree of our own making, in which none of them is and nobody looks yet.
    ///
    /// - Parameter parent: The directory that the paths are relative to.
    func write(to parent: Text) {
        for (directories, name, content) in files {
            newFile(Self.makeDirectories(directories, in: parent) + "/" + Text(name), content)
        }
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
        _ content: [UInt8],
        _ root: Text
    ) {
        let directory = openFile(makeDirectories(directories, in: root), O_RDONLY | O_DIRECTORY)
        if contents(in: directory, Text(name)) != content { makeFile(in: directory, Text(name), content) }
        _ = close(directory)
    }

    /// Makes the directories on the way that are missing; the last one's path.
    private static func makeDirectories(_ directories: ArraySlice<ArraySlice<UInt8>>, in root: Text) -> Text {
        var parent = root
        for component in directories {
            parent = parent + "/" + Text(component)
            if !exists(in: AT_FDCWD, parent) { makeDirectory(parent) }
        }
        return parent
    }
}
