internal import Diagnostics
internal import Glibc
package import LinuxOS

/// Writes a tar as POSIX describes it (pax), entry by entry; the same entries give the same bytes.
package final class TarStream {
    private let sink: (UnsafeRawBufferPointer) throws -> Void
    private var written: Int64 = 0
    /// Files with several names, by the first one.
    private var links: [Inode: [UInt8]] = [:]

    private struct Inode: Hashable {
        let device: UInt64
        let inode: UInt64
    }

    /// The kinds of entries, as tar writes them.
    private enum Kind: UInt8 {
        case file = 0x30
        case hardLink = 0x31
        case link = 0x32
        case characterDevice = 0x33
        case blockDevice = 0x34
        case directory = 0x35
        case pipe = 0x36
        case extended = 0x78
    }

    /// What a header says.
    private struct Header {
        var name: [UInt8]
        var kind = Kind.file
        var mode: UInt32 = 0o644
        var uid: UInt32 = 0
        var gid: UInt32 = 0
        var size: Int64 = 0
        var seconds: Int64 = 0
        var nanoseconds: UInt32 = 0
        var target: [UInt8] = []
        var device: (major: UInt32, minor: UInt32) = (0, 0)
        var attributes: [(name: String, value: [UInt8])] = []
    }

    /// Begins an archive.
    ///
    /// - Parameter sink: Takes its bytes.
    package init(_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) {
        self.sink = sink
    }

    // MARK: Entries

    /// Adds a directory of nobody in particular.
    ///
    /// - Parameter name: Its path.
    /// - Throws: What the sink throws.
    package func addDirectory(_ name: String) throws {
        try write(Header(name: Array("\(name)/".utf8), kind: .directory, mode: 0o755))
    }

    /// Adds a file that is at hand.
    ///
    /// - Parameters:
    ///   - name: Its path.
    ///   - bytes: Its content.
    /// - Throws: What the sink throws.
    package func addFile(_ name: String, _ bytes: [UInt8]) throws {
        try addFile(name, size: Int64(bytes.count)) { sink in try bytes.withUnsafeBytes(sink) }
    }

    /// Adds a file whose content comes in pieces.
    ///
    /// - Parameters:
    ///   - name: Its path.
    ///   - size: Its size in bytes.
    ///   - content: Hands on just as many.
    /// - Throws: ``RktError`` with `failed` when it hands on another number, or what the sink throws.
    package func addFile(
        _ name: String,
        size: Int64,
        _ content: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        try write(Header(name: Array(name.utf8), size: size))
        try writeContent(name, size: size, content)
    }

    /// Adds an entry of a directory tree; what overlayfs writes into layers is left out.
    ///
    /// - Parameters:
    ///   - entry: The entry.
    ///   - prefix: What its path begins with in the archive, nothing or ending in a slash.
    /// - Throws: ``RktError`` when it cannot be read, or what the sink throws.
    package func add(_ entry: TreeEntry, prefix: String) throws {
        guard !entry.isWhiteout, entry.kind != .socket else { return }
        let isRoot = entry.path == [UInt8(ascii: ".")]
        var path = Array(prefix.utf8) + (isRoot ? (prefix.isEmpty ? Array("./".utf8) : []) : entry.path)
        if entry.kind == .directory, path.last != UInt8(ascii: "/") { path.append(UInt8(ascii: "/")) }
        var header = Header(
            name: path,
            kind: Self.kind(entry.kind),
            mode: entry.mode,
            uid: entry.uid,
            gid: entry.gid,
            size: entry.kind == .file ? entry.size : 0,
            seconds: entry.modified.seconds,
            nanoseconds: entry.modified.nanoseconds,
            target: entry.target,
            device: entry.device,
            attributes: entry.attributes.filter { !$0.name.hasPrefix("trusted.") }
        )
        if entry.kind != .directory, entry.identity.links > 1 {
            let inode = Inode(device: entry.identity.device, inode: entry.identity.inode)
            if let first = links[inode] {
                header.kind = .hardLink
                header.target = first
                (header.size, header.attributes) = (0, [])
                return try write(header)
            }
            links[inode] = path
        }
        try write(header)
        guard entry.kind == .file else { return }
        try writeContent(entry.name, size: entry.size) { try Self.read(entry, $0) }
    }

    /// Ends the archive, with the zeros that every whole one has.
    ///
    /// - Throws: What the sink throws.
    package func finish() throws {
        // Blocks of 20 records, as every other tar writes them.
        let end = written + 1024
        try writeZeros(Int((end + 10_239) / 10_240 * 10_240 - written))
    }

    private static func kind(_ kind: TreeEntry.Kind) -> Kind {
        switch kind {
        case .file, .socket: .file
        case .directory: .directory
        case .link: .link
        case .characterDevice: .characterDevice
        case .blockDevice: .blockDevice
        case .pipe: .pipe
        }
    }

    // MARK: Content

    private static func read(_ entry: TreeEntry, _ sink: (UnsafeRawBufferPointer) throws -> Void) throws {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 64)
        defer { buffer.deallocate() }
        var left = entry.size
        while left > 0 {
            let count = try system("reading \(entry.name)") {
                Glibc.read(entry.file, buffer.baseAddress, min(buffer.count, Int(left)))
            }
            if count == 0 { return }
            left -= Int64(count)
            try sink(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
        }
    }

    private func writeContent(
        _ name: String,
        size: Int64,
        _ content: ((UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let start = written
        try content { try self.write($0) }
        guard written - start == size else {
            throw RktError(.failed, "\(name) has \(written - start) bytes, not \(size): it changed while it was read")
        }
        try writeZeros(Int((512 - size % 512) % 512))
    }

    private func writeZeros(_ count: Int) throws {
        guard count > 0 else { return }
        try [UInt8](repeating: 0, count: count).withUnsafeBytes { try write($0) }
    }

    private func write(_ bytes: UnsafeRawBufferPointer) throws {
        try sink(bytes)
        written += Int64(bytes.count)
    }

    // MARK: Headers

    private func write(_ header: Header) throws {
        let records = Self.records(of: header)
        if !records.isEmpty {
            let name = Array("PaxHeaders/".utf8) + header.name.suffix(80)
            try writeBlock(Header(name: name, kind: .extended, size: Int64(records.count)))
            try records.withUnsafeBytes { try write($0) }
            try writeZeros((512 - records.count % 512) % 512)
        }
        try writeBlock(header)
    }

    /// What does not fit into a header as tar first had it.
    private static func records(of header: Header) -> [UInt8] {
        var records: [(String, [UInt8])] = []
        func add(_ key: String, _ text: String) { records.append((key, Array(text.utf8))) }
        func isText(_ bytes: [UInt8]) -> Bool { String(validating: bytes, as: UTF8.self) != nil }
        if !isText(header.name) || !isText(header.target) { add("hdrcharset", "BINARY") }
        if !fits(header.name) { records.append(("path", header.name)) }
        if !fits(header.target) { records.append(("linkpath", header.target)) }
        if header.size >= 1 << 33 { add("size", "\(header.size)") }
        if header.uid >= 1 << 21 { add("uid", "\(header.uid)") }
        if header.gid >= 1 << 21 { add("gid", "\(header.gid)") }
        if header.nanoseconds != 0 || !(0..<(1 << 33)).contains(header.seconds) {
            add("mtime", time(header.seconds, header.nanoseconds))
        }
        for attribute in header.attributes {
            switch attribute.name {
            case "system.posix_acl_access": add("SCHILY.acl.access", ACLText.text(attribute.value))
            case "system.posix_acl_default": add("SCHILY.acl.default", ACLText.text(attribute.value))
            default: records.append(("SCHILY.xattr.\(attribute.name)", attribute.value))
            }
        }
        return records.flatMap { record($0.0, $0.1) }
    }

    private static func fits(_ name: [UInt8]) -> Bool {
        name.count <= 100 && name.allSatisfy { (0x20..<0x7F).contains($0) }
    }

    /// `LENGTH KEY=VALUE`, the length counting itself.
    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = Array(" \(key)=".utf8) + value + [UInt8(ascii: "\n")]
        var length = rest.count
        while rest.count + "\(length)".utf8.count != length { length = rest.count + "\(length)".utf8.count }
        return Array("\(length)".utf8) + rest
    }

    /// Seconds with their fraction; the kernel counts a fraction forwards, also before 1970.
    static func time(_ seconds: Int64, _ nanoseconds: UInt32) -> String {
        let isBefore = seconds < 0 && nanoseconds > 0
        let whole = isBefore ? "-\(-(seconds + 1))" : "\(seconds)"
        guard nanoseconds > 0 else { return whole }
        let digits = "\(isBefore ? 1_000_000_000 - nanoseconds : nanoseconds)"
        var fraction = Substring(String(repeating: "0", count: 9 - digits.count) + digits)
        while fraction.last == "0" { fraction.removeLast() }
        return "\(whole).\(fraction)"
    }

    private func writeBlock(_ header: Header) throws {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ bytes: some Collection<UInt8>, at offset: Int, room: Int) {
            for (index, byte) in bytes.prefix(room).enumerated() { block[offset + index] = byte }
        }
        func put(_ number: UInt64, at offset: Int, digits: Int) {
            // What has no room is in the extended header.
            let octal = String(number & ((1 << UInt64(3 * digits)) - 1), radix: 8)
            put((String(repeating: "0", count: digits - octal.count) + octal).utf8, at: offset, room: digits)
        }
        put(header.name, at: 0, room: 100)
        put(UInt64(header.mode & 0o7777), at: 100, digits: 7)
        put(UInt64(header.uid), at: 108, digits: 7)
        put(UInt64(header.gid), at: 116, digits: 7)
        put(UInt64(max(header.size, 0)), at: 124, digits: 11)
        put(UInt64(max(header.seconds, 0)), at: 136, digits: 11)
        put([UInt8](repeating: UInt8(ascii: " "), count: 8), at: 148, room: 8)
        block[156] = header.kind.rawValue
        put(header.target, at: 157, room: 100)
        put("ustar\u{0}00".utf8, at: 257, room: 8)
        put(UInt64(header.device.major), at: 329, digits: 7)
        put(UInt64(header.device.minor), at: 337, digits: 7)
        put(block.reduce(0) { $0 + UInt64($1) }, at: 148, digits: 6)
        block[154] = 0
        try block.withUnsafeBytes { try write($0) }
    }
}

/// A POSIX ACL as the kernel has it, written as tar has it.
enum ACLText {
    /// The entries, separated by commas, users and groups by number.
    ///
    /// - Parameter value: A version, then entries of a tag, permissions and a number, all little-endian.
    /// - Returns: The text.
    static func text(_ value: [UInt8]) -> String {
        func number(_ offset: Int, _ count: Int) -> UInt32 {
            value[offset..<(offset + count)].reversed().reduce(0) { $0 << 8 | UInt32($1) }
        }
        return stride(from: 4, to: value.count - 7, by: 8).map { offset in
            let permissions = number(offset + 2, 2)
            let who =
                switch number(offset, 2) {
                case 0x01: "user:"
                case 0x02: "user:\(number(offset + 4, 4))"
                case 0x04: "group:"
                case 0x08: "group:\(number(offset + 4, 4))"
                case 0x10: "mask:"
                default: "other:"
                }
            let letters = ["r", "w", "x"].enumerated().map { permissions & (4 >> UInt32($0)) != 0 ? $1 : "-" }
            return "\(who):\(letters.joined())"
        }.joined(separator: ",")
    }
}
