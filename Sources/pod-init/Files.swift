import CMusl

// None of these is inlined: this program is in memory with every pod, and a call of each is short.

/// Opens a file; ends the program when that fails.
@inline(never) func openFile(in directory: Int32 = AT_FDCWD, _ path: Text, _ flags: Int32) -> Int32 {
    check(path.withCString { open_at(directory, $0, flags | O_CLOEXEC, 0) }, Text("opening ") + path)
}

/// Opens a file if it is there.
@inline(never) func openIfThere(in directory: Int32 = AT_FDCWD, _ path: Text, _ flags: Int32) -> Int32? {
    let fd = path.withCString { open_at(directory, $0, flags | O_CLOEXEC, 0) }
    return fd < 0 ? nil : fd
}

/// The content of a small file; nil when it cannot be read.
@inline(never) func contents(in directory: Int32 = AT_FDCWD, _ path: Text, limit: Int = 1 << 20) -> [UInt8]? {
    guard let fd = openIfThere(in: directory, path, O_RDONLY) else { return nil }
    defer { _ = close(fd) }
    return contents(of: fd, limit: limit)
}

/// All bytes of an open file, up to a limit.
@inline(never) func contents(of fd: Int32, limit: Int) -> [UInt8]? {
    var bytes: [UInt8] = []
    while bytes.count < limit {
        let count = readMore(fd, to: &bytes)
        if count < 0 { return nil }
        if count == 0 { return bytes }
    }
    return nil
}

/// Appends what one read(2) brings.
///
/// It is read to the stack first: memory of the heap would be the kernel's again each time.
///
/// - Returns: How many bytes; 0 at the end, negative on errors.
@inline(never) func readMore(_ fd: Int32, to bytes: inout [UInt8]) -> Int {
    var buffer = InlineArray<4096, UInt8>(repeating: 0)
    var span = buffer.mutableSpan
    return span.withUnsafeMutableBytes { buffer in
        let count = read(fd, buffer.baseAddress, buffer.count)
        if count > 0 { bytes += UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
        return count
    }
}

/// Whether an entry exists.
@inline(never) func exists(in directory: Int32, _ name: Text) -> Bool {
    name.withCString { faccessat(directory, $0, 0, 0) == 0 }
}

/// Whether a path leads to something that can be executed.
func isExecutable(_ path: Text) -> Bool {
    path.withCString { faccessat(AT_FDCWD, $0, 1, 0) == 0 }
}

/// Makes a directory unless it is there.
@inline(never) func makeDirectory(in directory: Int32 = AT_FDCWD, _ path: Text, mode: mode_t = 0o755) {
    if path.withCString({ mkdirat(directory, $0, mode) }) < 0, __errno_location().pointee != EEXIST {
        fail(Text("making directory ") + path)
    }
}

/// Writes a small file, replacing its content.
@inline(never) func writeFile(in directory: Int32 = AT_FDCWD, _ path: Text, _ content: Text, mode: mode_t = 0o644) {
    let fd = path.withCString { open_at(directory, $0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode) }
    check(fd, Text("making ") + path)
    let written = content.withCString { write(fd, $0, content.count) }
    if written != content.count { fail(Text("writing ") + path) }
    _ = close(fd)
}

/// Writes a small file so that it appears whole or not at all.
@inline(never) func replaceFile(in directory: Int32, _ name: Text, _ content: [UInt8], mode: mode_t) {
    let temporary = Text(".") + name + "." + getpid()
    let fd = temporary.withCString { open_at(directory, $0, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode) }
    check(fd, Text("making ") + name)
    if write(fd, content, content.count) != content.count {
        _ = temporary.withCString { unlinkat(directory, $0, 0) }
        fail(Text("writing ") + name)
    }
    _ = close(fd)
    let result = temporary.withCString { from in name.withCString { renameat(directory, from, directory, $0) } }
    check(result, Text("making ") + name)
}

/// Makes a small file that appears whole or not at all, and leaves nothing else behind whenever this is killed.
@inline(never) func makeFile(in directory: Int32, _ name: Text, _ content: [UInt8]) {
    let fd = open_at(directory, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0o644)
    check(fd, Text("making ") + name)
    if write(fd, content, content.count) != content.count { fail(Text("writing ") + name) }
    remove(in: directory, name)
    let linked = path(ofDescriptor: fd).withCString { from in
        name.withCString { linkat(AT_FDCWD, from, directory, $0, AT_SYMLINK_FOLLOW) }
    }
    check(linked, Text("making ") + name)
    _ = close(fd)
}

/// Makes a small file where there is none and nobody looks yet.
@inline(never) func newFile(_ path: Text, _ content: [UInt8]) {
    let fd = path.withCString { open_at(AT_FDCWD, $0, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644) }
    check(fd, Text("making ") + path)
    if write(fd, content, content.count) != content.count { fail(Text("writing ") + path) }
    _ = close(fd)
}

/// Removes an entry, no directory, that may not be there.
@inline(never) func remove(in directory: Int32 = AT_FDCWD, _ path: Text) {
    let result = path.withCString { unlinkat(directory, $0, 0) }
    if result < 0, __errno_location().pointee != ENOENT { fail(Text("removing ") + path) }
}

/// The text of a symbolic link; nil when there is none.
@inline(never) func link(in directory: Int32 = AT_FDCWD, _ path: Text) -> Text? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = path.withCString { readlinkat(directory, $0, &buffer, 4095) }
    return length > 0 ? buffer.withUnsafeBufferPointer { $0.baseAddress.map { Text($0) } } : nil
}

/// Calls `body` with the name and kind (`DT_…`) of each entry of a directory.
func forEachEntry(of directory: Int32, _ body: (Text, UInt8) -> Void) {
    // The stream takes a descriptor of its own, with a position of its own.
    let copy = openFile(in: directory, Text("."), O_RDONLY | O_DIRECTORY)
    guard let stream = fdopendir(copy) else { fail(Text("reading a directory")) }
    while let entry = readdir(stream) {
        let name = withUnsafePointer(to: &entry.pointee.name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { Text($0) }
        }
        if !name.equals("."), !name.equals("..") { body(name, entry.pointee.type) }
    }
    _ = closedir(stream)
}

/// The path by which the kernel finds an open file of this process.
@inline(never) func path(ofDescriptor fd: Int32) -> Text { Text("/proc/self/fd/") + fd }
