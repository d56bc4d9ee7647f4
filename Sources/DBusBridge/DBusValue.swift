/// A value as D-Bus knows it.
///
/// Decoding gives each type exactly one form: an array of bytes is always ``bytes(_:)``, an array of dictionary entries
/// always ``dictionary(keySignature:valueSignature:_:)``. Encoding also takes `.array(elementSignature: "y", …)`.
public enum DBusValue: Sendable, Hashable {
    /// `y`.
    case byte(UInt8)
    /// `b`.
    case bool(Bool)
    /// `n`.
    case int16(Int16)
    /// `q`.
    case uint16(UInt16)
    /// `i`.
    case int32(Int32)
    /// `u`.
    case uint32(UInt32)
    /// `x`.
    case int64(Int64)
    /// `t`.
    case uint64(UInt64)
    /// `d`.
    case double(Double)
    /// `s`: no NUL inside.
    case string(String)
    /// `o`: a valid object path.
    case objectPath(String)
    /// `g`: zero or more complete types.
    case signature(String)
    /// `h`.
    case fileDescriptor(DBusDescriptor)
    /// `ay`.
    case bytes([UInt8])
    /// `a` and the signature of the elements, one complete type, which every element has.
    case array(elementSignature: String, [DBusValue])
    /// `a{…}`: the key is a basic type. Order and double keys are kept as they are.
    case dictionary(keySignature: String, valueSignature: String, [DBusEntry])
    /// `(…)`: at least one field.
    case structure([DBusValue])
    /// `v`.
    indirect case variant(DBusValue)

    /// An array of strings, `as`.
    ///
    /// - Parameter strings: The strings.
    /// - Returns: The array.
    public static func strings(_ strings: [String]) -> DBusValue {
        .array(elementSignature: "s", strings.map(DBusValue.string))
    }

    /// A list of named values, `a(sv)`, as systemd takes properties.
    ///
    /// - Parameter properties: Names and values.
    /// - Returns: The array.
    public static func properties(_ properties: [(String, DBusValue)]) -> DBusValue {
        .array(
            elementSignature: "(sv)",
            properties.map { .structure([.string($0.0), .variant($0.1)]) }
        )
    }
}

/// A key and its value in a dictionary.
public struct DBusEntry: Sendable, Hashable {
    /// The key, of a basic type.
    public let key: DBusValue
    /// The value.
    public let value: DBusValue

    /// Makes an entry.
    ///
    /// - Parameters:
    ///   - key: The key, of a basic type.
    ///   - value: The value.
    public init(_ key: DBusValue, _ value: DBusValue) {
        self.key = key
        self.value = value
    }
}

extension DBusValue {
    /// The value's type as a D-Bus signature.
    public var signature: String {
        switch self {
        case .byte: "y"
        case .bool: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .fileDescriptor: "h"
        case .bytes: "ay"
        case .array(let element, _): "a" + element
        case .dictionary(let key, let value, _): "a{" + key + value + "}"
        case .structure(let fields): "(" + fields.map(\.signature).joined() + ")"
        case .variant: "v"
        }
    }
}
