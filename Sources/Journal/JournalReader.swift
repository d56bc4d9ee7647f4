internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Synchronization

/// Reads a journal: the host's, a namespace's, or files in directories.
///
/// A reader has a place in the journal; it begins before the first entry. It may be used from any thread, but it has
/// only the one place: two loops over one reader share the entries out between them.
public final class JournalReader: Sendable {
    /// What is being read, for errors.
    public let name: String
    /// Files that could not be opened and are missing in what is read; only for several directories.
    public let unreadableFiles: [String]

    let library: LibSystemd
    // sd_journal is for one thread at a time; the handle never leaves the lock.
    private let handle: Mutex<LibSystemd.Handle>

    init(
        _ name: String,
        library: LibSystemd,
        unreadableFiles: [String] = [],
        _ open: (UnsafeMutablePointer<LibSystemd.Handle?>) -> CInt
    ) throws {
        self.name = name
        self.library = library
        self.unreadableFiles = unreadableFiles
        var opened: LibSystemd.Handle?
        let result = open(&opened)
        guard result >= 0, let opened else { throw RktError(errno: -result, "opening \(name)") }
        // The threshold is for what libsystemd must decompress; one more byte tells that there was more.
        _ = library.setDataThreshold(opened, JournalEntry.FieldBuilder.valueLimit + 256)
        handle = Mutex(opened)
    }

    deinit {
        handle.withLock { library.close($0) }
    }

    /// Calls libsystemd on the handle, alone.
    ///
    /// - Returns: What the call returned, not negative.
    /// - Throws: ``RktError`` for a negative result.
    @discardableResult
    func call(_ doing: @autoclosure () -> String, _ body: (LibSystemd.Handle) -> CInt) throws -> CInt {
        let result = handle.withLock { body($0) }
        guard result >= 0 else { throw RktError(errno: -result, "\(doing()) \(name)") }
        return result
    }

    /// Reads only entries with this value in this field. Matches of the same field add up (either), those of
    /// different fields narrow (both). Call it before reading.
    ///
    /// - Parameters:
    ///   - field: The field's name: capital letters, digits and underscores.
    ///   - value: The value, exactly.
    /// - Throws: ``RktError`` with `invalidArgument` for something that is no field name.
    public func addMatch(_ field: String, _ value: String) throws {
        guard !field.isEmpty, field.utf8.count <= 64, field.utf8.allSatisfy(Self.isFieldByte) else {
            throw RktError(.invalidArgument, "\"\(field)\" is not the name of a journal field")
        }
        let match = [UInt8]("\(field)=\(value)".utf8)
        try call("adding a match to") { library.addMatch($0, match, match.count) }
    }

    private static func isFieldByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"): true
        default: false
        }
    }

    /// Goes before the first entry.
    ///
    /// - Throws: ``RktError`` for the errno.
    public func seekHead() throws {
        try call("seeking in") { library.seekHead($0) }
    }

    /// Goes to the last entry there is now, or so many before it: ``next()`` gives those that follow.
    ///
    /// - Parameter count: How many of the last entries are to be read again by ``next()``; fewer when there are fewer.
    /// - Throws: ``RktError`` for the errno.
    public func seekTail(keeping count: UInt64 = 0) throws {
        // The library's own seek to the tail is only a wish until the next step, and a following `next` ignores it:
        // so stand on the entry before those wanted.
        try call("seeking in") { handle in
            var result = library.seekTail(handle)
            guard result >= 0 else { return result }
            // The library counts in an int.
            let steps = min(count, UInt64(CInt.max) - 1) + 1
            result = library.previousSkip(handle, steps)
            guard result >= 0 else { return result }
            return UInt64(result) < steps ? library.seekHead(handle) : result
        }
    }

    /// Goes behind an entry, so that ``next()`` gives the one after it; when it is gone, the next after its place.
    ///
    /// - Parameter cursor: The entry's ``JournalEntry/cursor``.
    /// - Throws: ``RktError`` with `invalidArgument` when it is not a cursor.
    public func seek(behindCursor cursor: String) throws {
        try call("seeking to a cursor in") { handle in
            var result = library.seekCursor(handle, cursor)
            guard result >= 0 else { return result }
            result = library.next(handle)
            guard result > 0 else { return result }
            let found = library.testCursor(handle, cursor)
            guard found >= 0 else { return found }
            // Not the entry itself but one behind its place: that one is still to be read.
            return found > 0 ? 0 : library.seekCursor(handle, cursor)
        }
    }

    /// Goes to the next entry and reads it; entries that are damaged, or were removed meanwhile, are passed over.
    ///
    /// - Returns: The entry; nil at the end, where a later call may find new ones.
    /// - Throws: ``RktError`` when the journal cannot be read.
    public func next() throws -> JournalEntry? {
        try step { library.next($0) }
    }

    private func step(_ move: (LibSystemd.Handle) -> CInt) throws -> JournalEntry? {
        while true {
            var entry: JournalEntry?
            let moved = try call("reading") { handle in
                let result = move(handle)
                guard result > 0 else { return result }
                entry = readEntry(handle)
                return result
            }
            if moved == 0 { return nil }
            if let entry { return entry }
        }
    }

    /// The entry at the reader's place; nil when it cannot be read.
    private func readEntry(_ handle: LibSystemd.Handle) -> JournalEntry? {
        var realtime: UInt64 = 0
        guard library.realtime(handle, &realtime) >= 0 else { return nil }
        var monotonic: UInt64 = 0
        // Where the boot's id goes; nobody asks for it.
        var boot: (UInt64, UInt64) = (0, 0)
        guard library.monotonic(handle, &monotonic, &boot) >= 0 else { return nil }
        var text: UnsafeMutablePointer<CChar>?
        guard library.cursor(handle, &text) >= 0, let text else { return nil }
        defer { free(text) }
        var fields = JournalEntry.FieldBuilder()
        var data: UnsafeRawPointer?
        var length = 0
        library.restartData(handle)
        // Fields that cannot be decompressed are passed over by the library; a damaged one ends the entry.
        while library.enumerateData(handle, &data, &length) > 0, let data {
            fields.add(UnsafeRawBufferPointer(start: data, count: length))
        }
        return JournalEntry(
            realtime: realtime,
            monotonic: monotonic,
            cursor: String(cString: text),
            fields: fields
        )
    }
}
