internal import CDBus
internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Writes values into a libdbus message.
///
/// Everything is checked before libdbus sees it: libdbus ends the process when it is handed a malformed string, path
/// or signature.
package struct MessageEncoder {
    private var values = 0
    private var bytes = 0
    private var descriptors = 0

    /// Appends arguments to a message.
    ///
    /// - Parameters:
    ///   - arguments: The arguments.
    ///   - message: A message that is not sent yet.
    /// - Throws: `RktError` with `invalidArgument` for values that D-Bus does not allow, `limitExceeded` for too much.
    package static func append(_ arguments: [DBusValue], to message: OpaquePointer) throws {
        guard !arguments.isEmpty else { return }
        var encoder = MessageEncoder()
        var iterator = DBusMessageIter()
        dbus_message_iter_init_append(message, &iterator)
        for argument in arguments {
            try encoder.append(argument, to: &iterator, depth: 0)
        }
        guard let signature = dbus_message_get_signature(message) else { return }
        if dbus_signature_validate(signature, nil) == 0 {
            throw RktError(.invalidArgument, "the arguments of a D-Bus message have too long or too deep a signature")
        }
    }

    private mutating func append(_ value: DBusValue, to iterator: inout DBusMessageIter, depth: Int) throws {
        values += 1
        bytes += 8
        if values > WireLimits.values || bytes > WireLimits.messageBytes {
            throw RktError(.limitExceeded, "a D-Bus message would be larger than \(WireLimits.messageBytes) bytes")
        }
        switch value {
        case .byte(let value): try basic(value, WireType.byte, &iterator)
        case .bool(let value): try basic(dbus_bool_t(value ? 1 : 0), WireType.boolean, &iterator)
        case .int16(let value): try basic(value, WireType.int16, &iterator)
        case .uint16(let value): try basic(value, WireType.uint16, &iterator)
        case .int32(let value): try basic(value, WireType.int32, &iterator)
        case .uint32(let value): try basic(value, WireType.uint32, &iterator)
        case .int64(let value): try basic(value, WireType.int64, &iterator)
        case .uint64(let value): try basic(value, WireType.uint64, &iterator)
        case .double(let value): try basic(value, WireType.double, &iterator)
        case .string(let value):
            try text(value, WireType.string, &iterator, "string") { _ in true }
        case .objectPath(let value):
            try text(value, WireType.objectPath, &iterator, "object path") { dbus_validate_path($0, nil) != 0 }
        case .signature(let value):
            try text(value, WireType.signature, &iterator, "signature") { dbus_signature_validate($0, nil) != 0 }
        case .fileDescriptor(let value): try descriptor(value, &iterator)
        case .bytes(let value): try byteArray(value, &iterator, depth)
        case .array(let element, let values): try array(values, of: element, &iterator, depth)
        case .dictionary(let key, let value, let entries): try dictionary(entries, key, value, &iterator, depth)
        case .structure(let fields):
            if fields.isEmpty { throw RktError(.invalidArgument, "a D-Bus structure needs at least one field") }
            try container(WireType.structure, nil, &iterator, depth) { encoder, inner in
                for field in fields { try encoder.append(field, to: &inner, depth: depth + 1) }
            }
        case .variant(let value):
            let signature = value.signature
            guard WireType.isSingleType(signature) else { throw Self.badSignature(signature) }
            try container(WireType.variant, signature, &iterator, depth) { encoder, inner in
                try encoder.append(value, to: &inner, depth: depth + 1)
            }
        }
    }

    private func basic<T: BitwiseCopyable>(_ value: T, _ type: Int32, _ iterator: inout DBusMessageIter) throws {
        var value = value
        if dbus_message_iter_append_basic(&iterator, type, &value) == 0 { throw Self.outOfMemory }
    }

    private mutating func text(
        _ value: String,
        _ type: Int32,
        _ iterator: inout DBusMessageIter,
        _ name: String,
        _ isValid: (UnsafePointer<CChar>) -> Bool
    ) throws {
        bytes += value.utf8.count
        if bytes > WireLimits.messageBytes {
            throw RktError(.limitExceeded, "a D-Bus message would be larger than \(WireLimits.messageBytes) bytes")
        }
        let isAccepted = try value.withCString { pointer -> Bool in
            if strlen(pointer) != value.utf8.count || !isValid(pointer) { return false }
            var pointer = pointer
            if dbus_message_iter_append_basic(&iterator, type, &pointer) == 0 { throw Self.outOfMemory }
            return true
        }
        if !isAccepted { throw RktError(.invalidArgument, "\(value.prefix(80).debugDescription) is no D-Bus \(name)") }
    }

    private mutating func descriptor(_ value: DBusDescriptor, _ iterator: inout DBusMessageIter) throws {
        descriptors += 1
        if descriptors > WireLimits.descriptors {
            throw RktError(.limitExceeded, "more than \(WireLimits.descriptors) file descriptors in a D-Bus message")
        }
        var raw = value.descriptor.rawValue
        // libdbus duplicates it; that fails when the process has no descriptor left.
        if dbus_message_iter_append_basic(&iterator, WireType.unixFD, &raw) == 0 {
            throw RktError(.limitExceeded, "cannot duplicate file descriptor \(raw) for a D-Bus message")
        }
    }

    private mutating func byteArray(
        _ value: [UInt8],
        _ iterator: inout DBusMessageIter,
        _ depth: Int
    ) throws {
        bytes += value.count
        if bytes > WireLimits.messageBytes {
            throw RktError(.limitExceeded, "a D-Bus message would be larger than \(WireLimits.messageBytes) bytes")
        }
        try container(WireType.array, "y", &iterator, depth) { _, inner in
            guard !value.isEmpty else { return }
            try value.withUnsafeBufferPointer { buffer in
                var start = buffer.baseAddress
                if dbus_message_iter_append_fixed_array(&inner, WireType.byte, &start, Int32(buffer.count)) == 0 {
                    throw Self.outOfMemory
                }
            }
        }
    }

    private mutating func array(
        _ values: [DBusValue],
        of element: String,
        _ iterator: inout DBusMessageIter,
        _ depth: Int
    ) throws {
        guard WireType.isSingleType(element) else { throw Self.badSignature(element) }
        try container(WireType.array, element, &iterator, depth) { encoder, inner in
            for value in values {
                guard value.signature == element else { throw Self.mismatch(value.signature, in: "a" + element) }
                try encoder.append(value, to: &inner, depth: depth + 1)
            }
        }
    }

    private mutating func dictionary(
        _ entries: [DBusEntry],
        _ key: String,
        _ value: String,
        _ iterator: inout DBusMessageIter,
        _ depth: Int
    ) throws {
        let entry = "{" + key + value + "}"
        guard WireType.isBasicType(key), WireType.isSingleType(value), WireType.isSingleType("a" + entry) else {
            throw Self.badSignature("a" + entry)
        }
        try container(WireType.array, entry, &iterator, depth) { encoder, inner in
            for each in entries {
                guard each.key.signature == key, each.value.signature == value else {
                    throw Self.mismatch("{" + each.key.signature + each.value.signature + "}", in: "a" + entry)
                }
                try encoder.container(WireType.dictionaryEntry, nil, &inner, depth + 1) { encoder, pair in
                    try encoder.append(each.key, to: &pair, depth: depth + 2)
                    try encoder.append(each.value, to: &pair, depth: depth + 2)
                }
            }
        }
    }

    private mutating func container(
        _ type: Int32,
        _ contents: String?,
        _ iterator: inout DBusMessageIter,
        _ depth: Int,
        _ body: (inout MessageEncoder, inout DBusMessageIter) throws -> Void
    ) throws {
        if depth >= WireLimits.depth {
            throw RktError(.limitExceeded, "a D-Bus value is nested more than \(WireLimits.depth) deep")
        }
        var inner = DBusMessageIter()
        if dbus_message_iter_open_container(&iterator, type, contents, &inner) == 0 { throw Self.outOfMemory }
        do {
            try body(&self, &inner)
        } catch {
            dbus_message_iter_abandon_container(&iterator, &inner)
            throw error
        }
        if dbus_message_iter_close_container(&iterator, &inner) == 0 { throw Self.outOfMemory }
    }

    private static var outOfMemory: RktError { RktError(.limitExceeded, "out of memory for a D-Bus message") }

    private static func badSignature(_ signature: String) -> RktError {
        RktError(.invalidArgument, "\(signature.prefix(80).debugDescription) is no single D-Bus type")
    }

    private static func mismatch(_ found: String, in expected: String) -> RktError {
        RktError(.invalidArgument, "a D-Bus value of type \(found.prefix(80)) is no element of \(expected.prefix(80))")
    }
}
