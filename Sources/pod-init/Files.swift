import CMusl

/// Opens a file; ends the program when that fails.
func openFile(in directory: Int32 = AT_FDCWD, _ path: Text, _ flags: Int32) -> Int32 {
    check(path.withCString { open_at(directory, $0, flags | O_CLOEXEC, 0) }, Text("opening ") + path)
}

/// Opens a file if it is there.
func openIfThere(in directory: Int32 = AT_FDCWD, _ path: Text, _ flags: Int32) -> Int32? {
    let fd = path.withCString { open_at(directory, $0, flags | O_CLOEXEC, 0) }
    return fd < 0 ? nil : fd
}

/// The content of a small file; nil when it cannot be read.
func contents(in directory: Int32 = AT_FDCWD, _ path: Text, limit: Int = 1 << 20) -> [UInt8]? {
    guard let fd = openIfThere(in: directory, path, O_RDONLY) else { return nil }
    defer { _ = close(fd) }
    return contents(of: fd, limit: limit)
}

/// All bytes of an open file, up to a limit.
func contents(of fd: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < limit {
        var count = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: 4096) { buffer, initialized in
            count = read(fd, buffer.baseAddress, 4096)
            initialized = max(count, 0)
        }
        if count < 0 { return nil }
        if count == 0 { return bytes }
        bytes += chunk
    }
    return nil
}

/// Whether an entry exists.
func exists(in directory: Int32, _ name: Text) -> Bool {
    name.withCString { faccessat(directory, $0, 0, 0) == 0 }
}

/// Makes a directory unless it is there.
func makeDirectory(in directory: Int32 = AT_FDCWD, _ path: Text, mode: mode_t = 0o755) {
    if path.withCString({ mkdirat(directory, $0, mode) }) < 0, __errno_location().pointee != EEXIST {
        fail(Text("making directory ") + path)
    }
}

/// Writes a small file, replacing its content.
func writeFile(in directory: Int32 = AT_FDCWD, _ path: Text, _ content: Text) {
    let fd = path.withCString { open_at(directory, $0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644) }
    check(fd, Text("making ") + path)
    content.withCString { _ = write(fd, $0, content.count) }
    _ = close(fd)
}

/// The path by which the kernel finds an open file of this process.
func path(ofDescriptor fd: Int32) -> Text { Text("/proc/self/fd/") + fd }
