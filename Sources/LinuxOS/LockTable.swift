internal import CLinux
internal import Diagnostics
internal import Glibc

extension FileLock {
    /// Whether anybody carries a mark on a file that one may not open. The kernel's table of locks says it, which is for all
    /// to read.
    ///
    /// - Parameters:
    ///   - name: The file.
    ///   - directory: Where it is.
    /// - Returns: True while the holder lives.
    /// - Throws: ``RktError`` with `notFound` when there is no such file; when the table cannot be read.
    public static func isMarked(unopened name: String, in directory: Directory) throws -> Bool {
        let file = try directory.open(name, flags: RKT_O_PATH | O_NOFOLLOW)
        let key = try LockTable.key(of: file)
        // It is read piece by piece: where a lock ends meanwhile, one that is behind it can be passed over.
        for _ in 0..<2
        where try LockTable.marks(in: Directory(path: "/proc").readText("locks", limit: 16 << 20)).contains(key) {
            return true
        }
        return false
    }
}

/// The kernel's table of locks (`/proc/locks`).
enum LockTable {
    /// What the table calls a file: the device of its file system and its inode there. On file systems that give their files
    /// devices of their own, such as btrfs, `stat(2)` says something else.
    static func key(of file: borrowing OwnedFD) throws -> Substring {
        let process = try Directory(path: "/proc/self")
        let facts = try process.readText("fdinfo/\(file.rawValue)").split(separator: "\n").map {
            $0.split(separator: "\t")
        }
        func fact(_ name: String) -> Substring? { facts.first { $0.count == 2 && $0[0] == "\(name):" }?[1] }
        guard let mount = fact("mnt_id"), let inode = fact("ino") else {
            throw RktError(.unsupported, "this kernel does not say which file a descriptor is: 5.14 and later ones do")
        }
        let mounts = try process.readText("mountinfo", limit: 64 << 20).split(separator: "\n")
        let fields = mounts.lazy.map { $0.split(separator: " ", maxSplits: 3) }.first {
            $0.count == 4 && $0[0] == mount
        }
        let device = fields?[2].split(separator: ":").compactMap { UInt32($0) } ?? []
        guard device.count == 2 else { throw RktError(.failed, "the mount \(mount) is not in /proc/self/mountinfo") }
        return "\(hex(device[0])):\(hex(device[1])):\(inode)"
    }

    private static func hex(_ number: UInt32) -> String {
        let text = String(number, radix: 16)
        return text.utf8.count < 2 ? "0\(text)" : text
    }

    /// The files with marks, by their keys.
    ///
    /// - Parameter table: The table: `NUMBER: OFDLCK ADVISORY READ -1 KEY 0 EOF`, with `->` before those who wait.
    /// - Returns: The keys.
    static func marks(in table: String) -> Set<Substring> {
        Set(
            table.split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                return words.count > 5 && words[1] == "OFDLCK" && words[3] == "READ" ? words[5] : nil
            }
        )
    }
}
