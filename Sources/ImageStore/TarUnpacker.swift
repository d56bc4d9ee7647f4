internal import CLinux
internal import Diagnostics
internal import Glibc
package import LinuxOS

/// A child process that unpacks a tar stream into one directory, and can reach nothing else.
package final class TarUnpacker {
    /// What a tar is to its reader.
    package enum Mode: Int32, Sendable {
        /// An OCI layer.
        case layer = 1
        /// An appc image: what is below `rootfs/` becomes the root, and the manifest is reported.
        case aci = 2
        /// Names and content of files, directories and links only: an archive of an image's parts.
        case plain = 3
        /// Only the manifest: of what is below `rootfs/` nothing but the names is checked, and no file is made.
        case manifest = 4
        /// Nothing: only tells an appc image from other archives.
        case probe = 5
    }

    /// What the child found out.
    package struct Report: Sendable {
        /// The entries of the archive.
        package var entries: UInt64
        /// The bytes of all files.
        package var bytes: UInt64
        /// For ``Mode/probe`` whether it is an appc image, for an appc image whether it has a `rootfs`.
        package var isAppc: Bool
        /// The manifest of an appc image, byte for byte; nil where there is none.
        package var manifest: [UInt8]?
        /// Whether the child had a mount namespace of its own, with the directory as its root.
        package var hadOwnRoot: Bool
    }

    private let mode: Mode
    private let directory: Directory
    private let name: String
    private let manifestLimit: Int
    private let report: OwnedFD
    private let child: pid_t
    private let pieces: PieceRing
    private var isReaped = false

    /// Starts the child.
    ///
    /// - Parameters:
    ///   - mode: What the tar is.
    ///   - directory: Where it goes; the child's root.
    ///   - name: What the tar is, for errors.
    ///   - limits: The limits.
    /// - Throws: ``RktError`` when the child cannot be started.
    package init(_ mode: Mode, into directory: Directory, name: String, limits: ImageLimits) throws {
        try ArchiveSupport.load()
        self.mode = mode
        self.directory = directory
        self.name = name
        manifestLimit = limits.manifestBytes
        report = OwnedFD(taking: try system("reporting on \(name)") { rkt_memfd("unpack") })
        pieces = try PieceRing(name: name)
        var numbers = rkt_unpack_limits(
            bytes: limits.unpackedBytes,
            entries: limits.entries,
            path_length: limits.pathLength,
            path_depth: limits.pathDepth,
            xattr_bytes: limits.attributeBytes,
            file_bytes: UInt64(limits.manifestBytes),
            memory: TarUnpacker.dataSize() + limits.unpackMemory,
            cpu_seconds: limits.unpackSeconds
        )
        let (output, raw) = (report.rawValue, directory.descriptor.rawValue)
        child = try pieces.handOver { memory, socket in
            rkt_unpack_start(mode.rawValue, raw, socket, memory, output, &numbers)
        }
    }

    deinit {
        pieces.finish()
        if !isReaped { _ = rkt_unpack_wait(child) }
    }

    /// Hands the next bytes of the tar to the child.
    ///
    /// - Parameter bytes: The bytes.
    /// - Returns: Whether the child takes more; false when it has ended, and ``finish()`` says why.
    /// - Throws: ``RktError`` when they cannot be sent.
    package func take(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
        try pieces.put(bytes)
    }

    /// Tells the child that the stream is over and waits for it.
    ///
    /// - Returns: What it found out.
    /// - Throws: ``RktError`` naming the tar and the entry: `invalidData`, `limitExceeded`, or the errno's code.
    package func finish() throws -> Report {
        pieces.finish()
        let status = rkt_unpack_wait(child)
        isReaped = true
        var result = rkt_unpack_report()
        let size = MemoryLayout<rkt_unpack_report>.size
        let raw = report.rawValue
        let count = try system("reading the report on \(name)") { pread(raw, &result, size, 0) }
        guard status == 0, count == size, result.magic == RKT_UNPACK_MAGIC else {
            let end = status > 0 ? "was killed by signal \(status)" : "ended without a result"
            throw RktError(
                .limitExceeded,
                "\(name): the process that unpacks it \(end), most likely at a limit of memory or processor time"
            )
        }
        try check(result)
        if mode == .layer { try setOpaque() }
        return Report(
            entries: result.entries,
            bytes: result.bytes,
            isAppc: result.probe != 0,
            manifest: result.has_manifest != 0 ? try rest(limit: manifestLimit) : nil,
            hadOwnRoot: CInt(result.confinement) == CInt(RKT_CONFINED_MOUNTS)
        )
    }

    private func check(_ result: rkt_unpack_report) throws {
        let entry = TarUnpacker.text(result.entry)
        let place = entry.isEmpty ? name : "\(name), entry \(entry.debugDescription)"
        let message = TarUnpacker.text(result.message)
        switch CInt(result.status) {
        case CInt(RKT_UNPACKED): return
        case CInt(RKT_UNPACK_LIMIT): throw RktError(.limitExceeded, "\(place): \(message)")
        case CInt(RKT_UNPACK_SYSTEM): throw RktError(errno: result.number, "\(place): \(message)")
        default: throw RktError(.invalidData, "\(place): \(message)")
        }
    }

    /// Marks the directories that hide all below them; the child lacks the rights. It may have been taken over, so its
    /// paths are resolved inside the directory only: the worst it reaches is another directory of the same layer.
    private func setOpaque() throws {
        for path in try rest(limit: 256 << 20).split(separator: 0) {
            // Paths are bytes, not always text, so they go to the kernel as they are.
            let terminated = path.map { CChar(bitPattern: $0) } + [0]
            let flags = UInt64(UInt32(bitPattern: O_RDONLY | O_DIRECTORY | O_CLOEXEC))
            let resolve = UInt64(RKT_RESOLVE_BENEATH | RKT_RESOLVE_NO_SYMLINKS | RKT_RESOLVE_NO_XDEV)
            let place = "\(name), directory \(String(decoding: path, as: UTF8.self).debugDescription)"
            let target: OwnedFD
            do {
                target = OwnedFD(
                    taking: try system(place) {
                        rkt_openat2(directory.descriptor.rawValue, terminated, flags, 0, resolve)
                    }
                )
            } catch let error as RktError where [ENOENT, ENOTDIR, ELOOP].contains(error.errno ?? 0) {
                continue  // a later entry has put something else in its place
            }
            let opened = target.rawValue
            try system("\(place): making it opaque") { rkt_fsetxattr(opened, "trusted.overlay.opaque", "y", 1) }
        }
    }

    /// What follows the report proper.
    private func rest(limit: Int) throws -> [UInt8] {
        let raw = report.rawValue
        let start = MemoryLayout<rkt_unpack_report>.size
        try system("reading the report on \(name)") { lseek(raw, off_t(start), SEEK_SET) }
        return try report.readAll(limit: limit, name: "the report on \(name)")
    }

    private static func text<Bytes>(_ bytes: Bytes) -> String {
        withUnsafeBytes(of: bytes) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    /// The bytes of private memory the process has already: the child starts with as much.
    private static func dataSize() -> UInt64 {
        guard let directory = try? Directory(path: "/proc/self"), let text = try? directory.readText("statm") else {
            return 1 << 30
        }
        let fields = text.split(separator: " ")
        return (fields.count > 5 ? UInt64(fields[5]) ?? 0 : 0) * UInt64(sysconf(CInt(_SC_PAGESIZE)))
    }
}
