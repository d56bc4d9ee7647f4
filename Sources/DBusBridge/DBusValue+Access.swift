internal import Diagnostics

extension DBusValue {
    private func mismatch(_ expected: String) -> RktError {
        RktError(.invalidData, "a D-Bus value has the type \(signature) where \(expected) is expected")
    }

    /// The boolean.
    ///
    /// - Returns: The boolean.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asBool() throws -> Bool {
        guard case .bool(let value) = self else { throw mismatch("b") }
        return value
    }

    /// The number of type `u`.
    ///
    /// - Returns: The number.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asUInt32() throws -> UInt32 {
        guard case .uint32(let value) = self else { throw mismatch("u") }
        return value
    }

    /// The number of type `i`.
    ///
    /// - Returns: The number.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asInt32() throws -> Int32 {
        guard case .int32(let value) = self else { throw mismatch("i") }
        return value
    }

    /// The string.
    ///
    /// - Returns: The string.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asString() throws -> String {
        guard case .string(let value) = self else { throw mismatch("s") }
        return value
    }

    /// The object path.
    ///
    /// - Returns: The path.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asObjectPath() throws -> String {
        guard case .objectPath(let value) = self else { throw mismatch("o") }
        return value
    }

    /// The bytes of an array of bytes.
    ///
    /// - Returns: The bytes.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asBytes() throws -> [UInt8] {
        guard case .bytes(let value) = self else { throw mismatch("ay") }
        return value
    }

    /// The file descriptor.
    ///
    /// - Returns: The descriptor.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asFileDescriptor() throws -> DBusDescriptor {
        guard case .fileDescriptor(let value) = self else { throw mismatch("h") }
        return value
    }

    /// The elements of an array other than one of bytes.
    ///
    /// - Returns: The elements.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asArray() throws -> [DBusValue] {
        guard case .array(_, let elements) = self else { throw mismatch("an array") }
        return elements
    }

    /// The fields of a structure.
    ///
    /// - Parameter signature: What the structure's type must be.
    /// - Returns: The fields.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asStructure(_ signature: String) throws -> [DBusValue] {
        guard case .structure(let fields) = self, self.signature == signature else { throw mismatch(signature) }
        return fields
    }

    /// The value in a variant.
    ///
    /// - Returns: The value.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asVariant() throws -> DBusValue {
        guard case .variant(let value) = self else { throw mismatch("v") }
        return value
    }

    /// The properties of a dictionary `a{sv}`; of a key that is there twice, the last value.
    ///
    /// - Returns: The values, out of their variants.
    /// - Throws: `RktError` with `invalidData` for any other type, naming both.
    public func asProperties() throws -> [String: DBusValue] {
        guard case .dictionary("s", "v", let entries) = self else { throw mismatch("a{sv}") }
        var properties = [String: DBusValue](minimumCapacity: entries.count)
        for entry in entries {
            properties[try entry.key.asString()] = try entry.value.asVariant()
        }
        return properties
    }
}

extension [DBusValue] {
    /// Checks the types of a message's arguments.
    ///
    /// - Parameters:
    ///   - signature: The signature all arguments together must have.
    ///   - what: What the message is, for the error.
    /// - Returns: The arguments.
    /// - Throws: `RktError` with `invalidData` naming what was expected and what was found.
    public func expecting(_ signature: String, from what: @autoclosure () -> String) throws -> [DBusValue] {
        let found = map(\.signature).joined()
        guard found == signature else {
            throw RktError(.invalidData, "\(what()) has the types \"\(found)\" where \"\(signature)\" is expected")
        }
        return self
    }
}
