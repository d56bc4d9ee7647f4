internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

/// All that tells one directory tree from another, entry by entry.
struct TreeFingerprint {
    private struct Entry: Hashable {
        let kind: TreeEntry.Kind
        let mode: UInt32
        let owner: [UInt32]
        let device: [UInt32]
        let size: Int64
        let modified: [Int64]
        let target: [UInt8]
        let attributes: [String: [UInt8]]
        let content: Digest?
        /// The first path of the same file.
        let first: [UInt8]
    }

    private struct Inode: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    private var entries: [[UInt8]: Entry] = [:]

    /// Reads a tree.
    ///
    /// - Parameter directory: Its root.
    /// - Throws: ``RktError`` naming what cannot be read.
    init(_ directory: Directory) throws {
        var files: [Inode: (path: [UInt8], content: Digest?)] = [:]
        var entries: [[UInt8]: Entry] = [:]
        try directory.walk { entry in
            let inode = Inode(device: entry.identity.device, inode: entry.identity.inode)
            let known = entry.kind == .directory || entry.identity.links < 2 ? nil : files[inode]
            let content = entry.kind == .file ? try known?.content ?? Self.content(of: entry) : nil
            if entry.identity.links > 1, known == nil { files[inode] = (entry.path, content) }
            entries[entry.path] = Entry(
                kind: entry.kind,
                mode: entry.mode,
                owner: [entry.uid, entry.gid],
                device: [entry.device.major, entry.device.minor],
                size: entry.kind == .file ? entry.size : 0,
                modified: [entry.modified.seconds, Int64(entry.modified.nanoseconds)],
                target: entry.target,
                attributes: Dictionary(entry.attributes.map { ($0.name, $0.value) }) { first, _ in first },
                content: content,
                first: known?.path ?? entry.path
            )
        }
        self.entries = entries
    }

    private static func content(of entry: TreeEntry) throws -> Digest {
        var hash = ContentHash(.sha256)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        while true {
            let count = try system("reading \(entry.name)") { read(entry.file, buffer.baseAddress, buffer.count) }
            if count == 0 { return try hash.finish() }
            hash.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
        }
    }

    /// What is different in another tree.
    ///
    /// - Parameters:
    ///   - other: The tree that is to be as this one.
    ///   - start: When this one was begun to be made, in seconds: what is as young as that was given no time by its
    ///     archive, and nothing is said about it; nil when all times count.
    /// - Returns: A few words for each of the first differences, empty when there are none.
    func differences(in other: TreeFingerprint, madeAfter start: Int64?) -> [String] {
        var found: [String] = []
        for path in Set(entries.keys).union(other.entries.keys).sorted(by: { $0.lexicographicallyPrecedes($1) }) {
            let problem: String?
            switch (entries[path], other.entries[path]) {
            case (let wanted?, let there?): problem = Self.difference(wanted, there, path, start)
            case (_?, nil): problem = "is missing"
            case (nil, _): problem = "does not belong there"
            }
            if let problem { found.append("\(String(decoding: path, as: UTF8.self).debugDescription) \(problem)") }
            // Whatever else there is, the first few say enough.
            if found.count == Self.mostDifferences { return found + ["…"] }
        }
        return found
    }

    private static let mostDifferences = 5

    private static func difference(_ wanted: Entry, _ there: Entry, _ path: [UInt8], _ start: Int64?) -> String? {
        let hasOwnTime = start.map { wanted.modified[0] < $0 } ?? true
        func octal(_ mode: UInt32) -> String { "0" + String(mode, radix: 8) }
        if wanted.kind != there.kind { return "is a \(there.kind), not a \(wanted.kind)" }
        // A root that its archive does not have is as whoever unpacked it had it.
        let isMade = !hasOwnTime && path == [UInt8(ascii: ".")]
        if wanted.mode != there.mode, !isMade { return "has the mode \(octal(there.mode)), not \(octal(wanted.mode))" }
        if wanted.owner != there.owner, !isMade {
            return "belongs to \(there.owner[0]):\(there.owner[1]), not to \(wanted.owner[0]):\(wanted.owner[1])"
        }
        if wanted.device != there.device { return "is another device" }
        if wanted.target != there.target { return "leads elsewhere" }
        if wanted.attributes != there.attributes { return "has other extended attributes" }
        if wanted.size != there.size { return "has \(there.size) bytes, not \(wanted.size)" }
        if wanted.content != there.content { return "has another content" }
        if wanted.first != there.first { return "is linked to others" }
        if wanted.modified != there.modified, hasOwnTime { return "has another time" }
        return nil
    }
}
