internal import CDBus
internal import Diagnostics
internal import LinuxOS

/// Reads the values of a libdbus message.
///
/// libdbus has checked the bytes against the signature; what is bounded here is how much memory they may become.
package struct MessageDecoder {
    private var values = 0

    /// Reads all arguments.
    ///
    /// - Parameter message: A message.
    /// - Returns: The arguments.
    /// - Throws: `RktError` with `limitExceeded` for too many or too deeply nested values.
    package static func arguments(of message: OpaquePointer) throws -> [DBusValue] {
        var iterator = DBusMessageIter()
        guard dbus_message_iter_init(message, &iterator) != 0 else { return [] }
        var decoder = MessageDecoder()
        return try decoder.rest(of: &iterator, depth: 0)
    }

    /// Reads the first argument when it is a string: the words of an error message.
    ///
    /// - Parameter message: A message.
    /// - Returns: The string, or nil.
    package static func firstString(of message: OpaquePointer) -> String? {
        var iterator = DBusMessageIter()
        guard dbus_message_iter_init(message, &iterator) != 0,
            dbus_message_iter_get_arg_type(&iterator) == WireType.string
        else { return nil }
        return string(at: &iterator)
    }

    private mutating func rest(of iterator: inout DBusMessageIter, depth: Int) throws -> [DBusValue] {
        var found: [DBusValue] = []
        while dbus_message_iter_get_arg_type(&iterator) != WireType.invalid {
            found.append(try value(at: &iterator, depth: depth))
            dbus_message_iter_next(&iterator)
        }
        return found
    }

    private mutating func value(at iterator: inout DBusMessageIter, depth: Int) throws -> DBusValue {
        values += 1
        if values > WireLimits.values {
            throw RktError(.limitExceeded, "a D-Bus message holds more than \(WireLimits.values) values")
        }
        switch dbus_message_iter_get_arg_type(&iterator) {
        case WireType.array: return try array(at: &iterator, depth: depth)
        case WireType.structure:
            var inner = try Self.enter(&iterator, depth: depth)
            return .structure(try rest(of: &inner, depth: depth + 1))
        case WireType.variant:
            var inner = try Self.enter(&iterator, depth: depth)
            return .variant(try value(at: &inner, depth: depth + 1))
        case WireType.string: return .string(Self.string(at: &iterator))
        case WireType.objectPath: return .objectPath(Self.string(at: &iterator))
        case WireType.signature: return .signature(Self.string(at: &iterator))
        case let type: return try Self.fixed(type, at: &iterator)
        }
    }

    private static func fixed(_ type: Int32, at iterator: inout DBusMessageIter) throws -> DBusValue {
        var raw = DBusBasicValue()
        raw.fd = -1
        switch type {
        case WireType.byte, WireType.boolean, WireType.int16, WireType.uint16, WireType.int32, WireType.uint32,
            WireType.int64, WireType.uint64, WireType.double, WireType.unixFD:
            dbus_message_iter_get_basic(&iterator, &raw)
        default:
            throw RktError(.invalidData, "a D-Bus message holds a value of the unknown type \(type)")
        }
        switch type {
        case WireType.byte: return .byte(raw.byt)
        case WireType.boolean: return .bool(raw.bool_val != 0)
        case WireType.int16: return .int16(raw.i16)
        case WireType.uint16: return .uint16(raw.u16)
        case WireType.int32: return .int32(raw.i32)
        case WireType.uint32: return .uint32(raw.u32)
        case WireType.int64: return .int64(Int64(raw.i64))
        case WireType.uint64: return .uint64(UInt64(raw.u64))
        case WireType.double: return .double(raw.dbl)
        default:
            // The descriptor is a duplicate made for us; -1 when the process has none left.
            guard raw.fd >= 0 else {
                throw RktError(.limitExceeded, "cannot take over a file descriptor from a D-Bus message")
            }
            return .fileDescriptor(DBusDescriptor(taking: OwnedFD(taking: raw.fd)))
        }
    }

    private mutating func array(at iterator: inout DBusMessageIter, depth: Int) throws -> DBusValue {
        let element = dbus_message_iter_get_element_type(&iterator)
        if element == WireType.byte { return .bytes(Self.bytes(at: &iterator)) }
        if element == WireType.dictionaryEntry { return try dictionary(at: &iterator, depth: depth) }
        let signature = try Self.signature(at: &iterator).dropFirst()
        var inner = try Self.enter(&iterator, depth: depth)
        return .array(elementSignature: String(signature), try rest(of: &inner, depth: depth + 1))
    }

    private mutating func dictionary(at iterator: inout DBusMessageIter, depth: Int) throws -> DBusValue {
        // a{kv…}: the key is one basic type, so one character.
        let signature = try Self.signature(at: &iterator).dropFirst(2).dropLast()
        var inner = try Self.enter(&iterator, depth: depth)
        var entries: [DBusEntry] = []
        while dbus_message_iter_get_arg_type(&inner) == WireType.dictionaryEntry {
            var pair = try Self.enter(&inner, depth: depth + 1)
            let key = try value(at: &pair, depth: depth + 2)
            dbus_message_iter_next(&pair)
            entries.append(DBusEntry(key, try value(at: &pair, depth: depth + 2)))
            dbus_message_iter_next(&inner)
        }
        return .dictionary(
            keySignature: String(signature.prefix(1)),
            valueSignature: String(signature.dropFirst()),
            entries
        )
    }

    private static func enter(_ iterator: inout DBusMessageIter, depth: Int) throws -> DBusMessageIter {
        if depth >= WireLimits.depth {
            throw RktError(.limitExceeded, "a D-Bus message is nested more than \(WireLimits.depth) deep")
        }
        var inner = DBusMessageIter()
        dbus_message_iter_recurse(&iterator, &inner)
        return inner
    }

    private static func signature(at iterator: inout DBusMessageIter) throws -> String {
        guard let text = dbus_message_iter_get_signature(&iterator) else {
            throw RktError(.limitExceeded, "out of memory for a D-Bus message")
        }
        defer { dbus_free(text) }
        return String(cString: text)
    }

    private static func string(at iterator: inout DBusMessageIter) -> String {
        var text: UnsafePointer<CChar>?
        dbus_message_iter_get_basic(&iterator, &text)
        return text.map { String(cString: $0) } ?? ""
    }

    private static func bytes(at iterator: inout DBusMessageIter) -> [UInt8] {
        var inner = DBusMessageIter()
        dbus_message_iter_recurse(&iterator, &inner)
        var start: UnsafePointer<UInt8>?
        var count: Int32 = 0
        dbus_message_iter_get_fixed_array(&inner, &start, &count)
        return Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }
}
