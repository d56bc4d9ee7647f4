internal import CDBus

/// The type codes of D-Bus; the C macros for them do not import.
package enum WireType {
    package static let invalid: Int32 = 0
    package static let byte = code("y")
    package static let boolean = code("b")
    package static let int16 = code("n")
    package static let uint16 = code("q")
    package static let int32 = code("i")
    package static let uint32 = code("u")
    package static let int64 = code("x")
    package static let uint64 = code("t")
    package static let double = code("d")
    package static let string = code("s")
    package static let objectPath = code("o")
    package static let signature = code("g")
    package static let unixFD = code("h")
    package static let array = code("a")
    package static let variant = code("v")
    package static let structure = code("r")
    package static let dictionaryEntry = code("e")

    private static func code(_ scalar: Unicode.Scalar) -> Int32 { Int32(scalar.value) }

    /// Whether text is exactly one complete type.
    static func isSingleType(_ signature: String) -> Bool {
        !signature.utf8.contains(0) && dbus_signature_validate_single(signature, nil) != 0
    }

    /// Whether text is one basic type.
    static func isBasicType(_ signature: String) -> Bool {
        guard let byte = signature.utf8.first, signature.utf8.count == 1 else { return false }
        return dbus_type_is_valid(Int32(byte)) != 0 && dbus_type_is_basic(Int32(byte)) != 0
    }
}

/// What one message may hold; the same in both directions.
package enum WireLimits {
    /// The deepest nesting of arrays, structures and variants.
    package static let depth = 64
    /// The most values, counting every element and field.
    package static let values = 1 << 20
    /// The most bytes on the wire.
    package static let messageBytes = 16 << 20
    /// The most file descriptors.
    package static let descriptors = 64
}
