/// Writes tars entry by entry, honest ones and others: every field can be anything.
public struct TarWriter: Sendable {
    /// One entry.
    public struct Entry: Sendable {
        /// The name, as bytes.
        public var name: [UInt8]
        /// The type: `0` file, `1` hard link, `2` link, `3` and `4` devices, `5` directory, `6` pipe.
        public var type: Character
        /// The mode.
        public var mode: Int = 0o644
        /// The owner.
        public var uid: Int = 0
        /// The group.
        public var gid: Int = 0
        /// The time in seconds.
        public var time: Int = 1_000_000_000
        /// The target of a link.
        public var target: [UInt8] = []
        /// A device's numbers.
        public var device: (Int, Int) = (0, 0)
        /// The size that the header claims, if not that of the content.
        public var claimedSize: Int?
        /// The content.
        public var content: [UInt8] = []
        /// Records of an extended header before the entry.
        public var pax: [(String, [UInt8])] = []

        /// A file.
        public static func file(_ name: String, _ content: String = "", mode: Int = 0o644) -> Entry {
            Entry(name: Array(name.utf8), type: "0", mode: mode, content: Array(content.utf8))
        }

        /// A directory.
        public static func directory(_ name: String, mode: Int = 0o755) -> Entry {
            Entry(name: Array(name.utf8), type: "5", mode: mode)
        }

        /// A symbolic link.
        public static func link(_ name: String, to target: String) -> Entry {
            Entry(name: Array(name.utf8), type: "2", mode: 0o777, target: Array(target.utf8))
        }

        /// A hard link.
        public static func hardLink(_ name: String, to target: String) -> Entry {
            Entry(name: Array(name.utf8), type: "1", target: Array(target.utf8))
        }

        /// A character device.
        public static func device(_ name: String, _ major: Int, _ minor: Int) -> Entry {
            Entry(name: Array(name.utf8), type: "3", device: (major, minor))
        }

        /// The entry with something changed.
        public func with(_ change: (inout Entry) -> Void) -> Entry {
            var copy = self
            change(&copy)
            return copy
        }

        init(
            name: [UInt8],
            type: Character,
            mode: Int = 0o644,
            target: [UInt8] = [],
            device: (Int, Int) = (0, 0),
            content: [UInt8] = []
        ) {
            self.name = name
            self.type = type
            self.mode = mode
            self.target = target
            self.device = device
            self.content = content
        }
    }

    /// The bytes so far.
    public private(set) var bytes: [UInt8] = []

    /// A tar of entries with its end.
    public static func tar(_ entries: [Entry]) -> [UInt8] {
        var writer = TarWriter()
        for entry in entries { writer.add(entry) }
        return writer.bytes + [UInt8](repeating: 0, count: 1024)
    }

    private mutating func add(_ entry: Entry) {
        if !entry.pax.isEmpty {
            var header = Entry(name: Array("pax".utf8), type: "x")
            header.content = entry.pax.flatMap { key, value in TarWriter.record(key, value) }
            append(header)
        }
        // What does not fit a header goes into GNU's long names.
        if entry.name.count > 100 { append(TarWriter.long("L", entry.name)) }
        if entry.target.count > 100 { append(TarWriter.long("K", entry.target)) }
        append(entry)
    }

    private static func long(_ type: Character, _ value: [UInt8]) -> Entry {
        var entry = Entry(name: Array("././@LongLink".utf8), type: type)
        entry.content = value + [0]
        return entry
    }

    private static func record(_ key: String, _ value: [UInt8]) -> [UInt8] {
        let rest = [UInt8(ascii: " ")] + Array(key.utf8) + [UInt8(ascii: "=")] + value + [UInt8(ascii: "\n")]
        var length = rest.count
        while "\(length)".utf8.count + rest.count != length { length = "\(length)".utf8.count + rest.count }
        return Array("\(length)".utf8) + rest
    }

    private mutating func append(_ entry: Entry) {
        var header = [UInt8](repeating: 0, count: 512)
        func put(_ value: [UInt8], at offset: Int, _ size: Int) {
            header.replaceSubrange(offset..<offset + min(size, value.count), with: value.prefix(size))
        }
        func number(_ value: Int, at offset: Int, _ size: Int) {
            let octal = String(value, radix: 8)
            if octal.utf8.count < size {
                put(Array((String(repeating: "0", count: size - 1 - octal.utf8.count) + octal).utf8), at: offset, size)
            } else {
                // GNU's numbers of base 256.
                for index in 0..<size {
                    header[offset + size - 1 - index] = index < 8 ? UInt8(value >> (8 * index) & 255) : 0
                }
                header[offset] |= 0x80
            }
        }
        put(entry.name, at: 0, 100)
        number(entry.mode, at: 100, 8)
        number(entry.uid, at: 108, 8)
        number(entry.gid, at: 116, 8)
        number(entry.claimedSize ?? entry.content.count, at: 124, 12)
        number(entry.time, at: 136, 12)
        put(Array("        ".utf8), at: 148, 8)
        put(Array(String(entry.type).utf8), at: 156, 1)
        put(entry.target, at: 157, 100)
        put(Array("ustar\u{0}00".utf8), at: 257, 8)
        number(entry.device.0, at: 329, 8)
        number(entry.device.1, at: 337, 8)
        let sum = header.reduce(0) { $0 + Int($1) }
        put(Array(String(sum, radix: 8).utf8), at: 148, 6)
        put([0, 32], at: 154, 2)
        bytes += header + entry.content
        bytes += [UInt8](repeating: 0, count: (512 - entry.content.count % 512) % 512)
    }
}
