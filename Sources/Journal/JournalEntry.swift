/// One entry of a journal: when it was written, and its fields.
///
/// Field values are bytes: what an app logs need not be UTF-8. All of it is untrusted: before it goes to a terminal
/// it must be neutralised.
public struct JournalEntry: Sendable {
    /// When the entry was received, in microseconds since the epoch.
    public let realtime: UInt64
    /// When the entry was received, in microseconds since the boot it was received in.
    public let monotonic: UInt64
    /// The entry's place in the journal: `JournalReader.seek(toCursor:)` finds it again.
    public let cursor: String
    /// Whether a value, or the entry as a whole, went over the limits and its end is missing.
    public let isTruncated: Bool

    // All names and values in one piece of memory: an entry has some thirty fields, a log some thousand entries.
    private let bytes: [UInt8]
    private let fields: [Field]

    /// Where a field's name starts, where its value starts (after the name and `=`), and where it ends.
    fileprivate struct Field: Sendable {
        let start: Int
        let value: Int
        let end: Int
    }

    init(realtime: UInt64, monotonic: UInt64, cursor: String, fields builder: FieldBuilder) {
        self.realtime = realtime
        self.monotonic = monotonic
        self.cursor = cursor
        isTruncated = builder.isTruncated
        bytes = builder.bytes
        fields = builder.fields
    }

    /// The bytes of a field.
    ///
    /// - Parameter name: The field's name, such as `MESSAGE`.
    /// - Returns: The first value; nil when there is none.
    public func bytes(of name: String) -> ArraySlice<UInt8>? {
        let wanted = name.utf8
        for field in fields
        where field.value - field.start - 1 == wanted.count
            && bytes[field.start..<field.value - 1].elementsEqual(wanted)
        {
            return bytes[field.value..<field.end]
        }
        return nil
    }

    /// The text of a field; bytes that are not UTF-8 are replaced.
    ///
    /// - Parameter name: The field's name.
    public subscript(name: String) -> String? {
        bytes(of: name).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The logged line without its end, byte for byte (`MESSAGE`); empty when there is none.
    public var message: ArraySlice<UInt8> { bytes(of: "MESSAGE") ?? [] }
    /// The process that logged it, in journald's PID namespace (`_PID`).
    public var pid: Int32? { self["_PID"].flatMap { Int32($0) } }
    /// The app that logged it (`RKT_APP`, put there by the app's unit).
    public var app: String? { self["RKT_APP"] }

    /// Collects the fields of an entry, within limits.
    struct FieldBuilder {
        // What journald takes from a root client is far more than what a log reader should hold in memory.
        static let valueLimit = 16 << 20
        static let entryLimit = 64 << 20

        fileprivate var bytes: [UInt8] = []
        fileprivate var fields: [Field] = []
        fileprivate var isTruncated = false

        init() {
            bytes.reserveCapacity(2048)
            fields.reserveCapacity(40)
        }

        /// Adds a field in the journal's form, `NAME=value`; one without a name is left out.
        mutating func add(_ data: UnsafeRawBufferPointer) {
            guard let equals = data.prefix(256).firstIndex(of: UInt8(ascii: "=")), equals > 0 else { return }
            var length = data.count
            let most = min(equals + 1 + Self.valueLimit, Self.entryLimit - bytes.count)
            if length > most {
                isTruncated = true
                guard most > equals else { return }
                length = most
            }
            let start = bytes.count
            bytes.append(contentsOf: data[..<length])
            fields.append(Field(start: start, value: start + equals + 1, end: start + length))
        }
    }
}
