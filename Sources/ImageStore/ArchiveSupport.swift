internal import CLinux
internal import Diagnostics

/// libarchive, loaded when an archive is first looked at.
enum ArchiveSupport {
    static func load() throws {
        guard let missing = rkt_archives_load() else { return }
        throw RktError(.missingDependency, "images cannot be read without \(String(cString: missing)): install it")
    }
}
