internal import Diagnostics
internal import Glibc
public import ImageStore
internal import LinuxOS

extension DataDirectory {
    /// Writes an image as a tree of files: `manifest` and `rootfs`, or the root alone. Until all of it is there, it has
    /// another name beside its own.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - store: The store it is in.
    ///   - path: The directory to make.
    ///   - options: What is written.
    ///   - progress: Hears how far unpacking is.
    /// - Throws: ``RktError`` with `permissionDenied` when the caller is not root, `alreadyExists`, or for what cannot
    ///   be written.
    public func writeTree(
        of record: ImageRecord,
        from store: ImageStore,
        to path: String,
        options: TreeOptions,
        progress: ProgressSink? = nil
    ) throws {
        guard geteuid() == 0 else {
            throw RktError(.permissionDenied, "unpacking an image needs root: its files have owners and modes")
        }
        // Layers are not exchanged meanwhile.
        let lock = try lockImages(.shared)
        defer { withExtendedLifetime(lock.rawValue) {} }
        let output = try NewDirectory(
            try OutputPlace(path),
            overwrite: options.overwrite,
            existing: "output directory exists (try --overwrite)",
            protecting: self.path
        )
        if options.rootfsOnly {
            try store.copyRoot(of: record, alone: options.alone, to: output.directory, progress: progress)
        } else {
            try output.directory.write("manifest", try store.manifestJSON(of: record), mode: 0o700)
            try output.directory.makeDirectory("rootfs", mode: 0o755)
            let root = try output.directory.directory("rootfs")
            try store.copyRoot(of: record, alone: options.alone, to: root, progress: progress)
        }
        try output.finish()
    }

    /// Writes an image to a file or a directory.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - store: The store it is in.
    ///   - path: The file; `-` for standard output; with a slash at its end the directory of an OCI layout.
    ///   - format: The form; nil for the image's own.
    ///   - overwrite: Whether it may take the place of what is there.
    /// - Throws: ``RktError`` with `alreadyExists`, `digestMismatch` when the image is damaged, or for what cannot be
    ///   written; then nothing of it is there.
    public func export(
        _ record: ImageRecord,
        from store: ImageStore,
        to path: String,
        as format: ImageFormat?,
        overwrite: Bool
    ) throws {
        let own: ImageFormat = record.kind == .appc ? .aci : .oci
        let isDirectory = path.hasSuffix("/")
        let format = format ?? (isDirectory && own == .oci ? .ociDirectory : own)
        let lock = record.kind == .appc || format != .aci ? nil : SharedFD(try lockImages(.shared))
        defer { withExtendedLifetime(lock) {} }
        let existing = "output ACI file exists (try --overwrite)"
        if format == .ociDirectory {
            let place = try OutputPlace(path)
            let output = try NewDirectory(
                place,
                overwrite: overwrite,
                existing: existing,
                protecting: self.path,
                mode: 0o755
            )
            try store.export(record, to: output.directory)
            try output.directory.synchronizeFileSystem()
            return try output.finish()
        }
        guard !isDirectory else {
            throw RktError(.invalidArgument, "\(path) is a directory's name; format \(format.rawValue) is a file")
        }
        if path == "-" { return try exportToStandardOutput(record, from: store, as: format) }
        let file = try NewFile(try OutputPlace(path), overwrite: overwrite, existing: existing)
        try store.export(record, as: format) { try file.file.writeAll($0, name: path) }
        try file.finish()
    }

    private func exportToStandardOutput(_ record: ImageRecord, from store: ImageStore, as format: ImageFormat) throws {
        guard isatty(1) == 0 else {
            throw RktError(.invalidArgument, "standard output is a terminal: give the name of a file")
        }
        try store.export(record, as: format) { piece in
            var rest = piece
            while !rest.isEmpty {
                let count = try system("writing to standard output") { write(1, rest.baseAddress, rest.count) }
                rest = UnsafeRawBufferPointer(rebasing: rest[count...])
            }
        }
    }
}
