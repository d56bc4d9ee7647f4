import CMusl

/// The word that preparing a pod left of its data directory, where that is not the default one: it outlives a boot.
/// The other side is `Pods/LastingLinks.swift`.
enum LastingLink {
    /// The data directory that a pod was prepared in; nil when no word was left.
    ///
    /// Ends the program when the directory is not there, and when anybody but root could have put a pod into it: since
    /// the link was made, the path may have come to mean something else.
    static func dataDirectory(of uuid: UnsafePointer<CChar>) -> Text? {
        guard let data = link(Text("/var/lib/rkt/elsewhere/") + uuid) else { return nil }
        let pods = data + "/pods"
        // Whoever owns a directory above it could put another one in its place.
        var above = Text("/")
        for component in data.utf8.split(separator: 47) {
            _ = isRootsAlone(above, uuid)
            above = above + Text(component) + "/"
        }
        guard isRootsAlone(data, uuid), isRootsAlone(pods, uuid) else {
            fail(Text("pod \"") + uuid + "\" was prepared in the data directory " + data)
        }
        for phase in ["/prepared", "/run"] as [StaticString] where isRootsAlone(pods + phase, uuid) {
            _ = isRootsAlone(pods + phase + "/" + uuid, uuid)
        }
        return data
    }

    /// Ends the program when a directory is another's, or others may write to it.
    ///
    /// - Returns: False when there is no such directory.
    private static func isRootsAlone(_ path: Text, _ uuid: UnsafePointer<CChar>) -> Bool {
        guard let directory = openIfThere(path, O_PATH | O_DIRECTORY) else { return false }
        defer { _ = close(directory) }
        var owner = file_owner()
        check(get_owner(directory, &owner), Text("looking at ") + path)
        let refusal = Text(": pod \"") + uuid + "\" is not started"
        guard owner.user == 0 else { refuse(path + " belongs to user " + Int32(bitPattern: owner.user) + refusal) }
        // Where a directory is sticky, others cannot remove or rename what is root's.
        let isSticky = owner.mode & 0o1000 != 0
        let isWritable = owner.mode & 0o002 != 0 || (owner.mode & 0o020 != 0 && owner.group != 0)
        guard isSticky || !isWritable else { refuse(Text("others may write to ") + path + refusal) }
        return true
    }
}
