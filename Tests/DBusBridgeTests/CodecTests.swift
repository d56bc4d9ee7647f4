import CDBus
import DBusBridge
import Diagnostics
import Testing

@Suite struct CodecTests {
    /// Encodes values into a message, sends it through libdbus's own wire format, and decodes it.
    private func roundTrip(_ values: [DBusValue]) throws -> [DBusValue] {
        let bytes = try marshalled(values)
        let message = try #require(dbus_message_demarshal(bytes, Int32(bytes.count), nil))
        defer { dbus_message_unref(message) }
        return try MessageDecoder.arguments(of: message)
    }

    private func marshalled(_ values: [DBusValue]) throws -> [CChar] {
        let message = try #require(dbus_message_new_method_call("a.b", "/", "a.b", "C"))
        defer { dbus_message_unref(message) }
        try MessageEncoder.append(values, to: message)
        dbus_message_set_serial(message, 1)
        var text: UnsafeMutablePointer<CChar>?
        var count: Int32 = 0
        try #require(dbus_message_marshal(message, &text, &count) != 0)
        defer { dbus_free(text) }
        return Array(UnsafeBufferPointer(start: text, count: Int(count)))
    }

    private func error(encoding value: DBusValue) -> RktError? {
        do {
            _ = try marshalled([value])
            return nil
        } catch {
            return error as? RktError
        }
    }

    @Test(
        arguments: [
            .byte(255), .bool(true), .int16(.min), .uint16(.max), .int32(.min), .uint32(.max), .int64(.min),
            .uint64(.max), .double(-0.5), .string("grüße"), .string(""), .objectPath("/a/_2d"), .signature("a{sv}"),
            .bytes([]), .bytes([0, 1, 255]), .strings([]), .strings(["a", ""]),
            .array(elementSignature: "aay", []), .array(elementSignature: "ay", [.bytes([1])]),
            .dictionary(keySignature: "u", valueSignature: "(sb)", []),
            .dictionary(
                keySignature: "s",
                valueSignature: "v",
                [DBusEntry(.string("k"), .variant(.variant(.byte(1))))]
            ),
            .structure([.byte(1), .structure([.uint64(2)])]), .properties([("Id", .bytes([1, 2]))]),
        ] as [DBusValue]
    )
    func everyTypeComesBackAsItWent(value: DBusValue) throws {
        #expect(try roundTrip([value, .uint32(7), value]) == [value, .uint32(7), value])
    }

    @Test(arguments: 0..<40)
    func randomValuesComeBackAsTheyWent(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let values = (0..<25).map { _ in
            let signature = DBusValue.randomSignature(depth: 4, using: &generator)
            return DBusValue.random(signature[...], depth: 4, using: &generator)
        }
        #expect(try roundTrip(values) == values)
        #expect(values.allSatisfy { dbus_signature_validate_single($0.signature, nil) != 0 })
    }

    @Test(
        arguments: [
            (.objectPath("a"), "object path"), (.objectPath("/a/"), "object path"),
            (.objectPath("/a\0"), "object path"),
            (.string("a\0b"), "string"), (.signature("a"), "signature"), (.signature("{sv}"), "signature"),
            (.structure([]), "structure"), (.array(elementSignature: "ss", []), "\"ss\""),
            (.array(elementSignature: "", []), "\"\""), (.strings(["a"]).replacing(with: .byte(1)), "type y"),
            (.dictionary(keySignature: "v", valueSignature: "s", []), "a{vs}"),
            (.dictionary(keySignature: "s", valueSignature: "v", [DBusEntry(.string(""), .byte(1))]), "{sy}"),
        ] as [(DBusValue, String)]
    )
    func refusesWhatDBusDoesNotAllowAndNamesIt(value: DBusValue, words: String) throws {
        let error = try #require(self.error(encoding: value))
        #expect(error.code == .invalidArgument)
        #expect(error.description.contains(words))
    }

    @Test func takesVariantsNestedToTheLimitAndNoDeeper() throws {
        func nested(_ depth: Int) -> DBusValue { (0..<depth).reduce(.byte(1)) { value, _ in .variant(value) } }
        #expect(try roundTrip([nested(WireLimits.depth)]) == [nested(WireLimits.depth)])
        #expect(error(encoding: nested(WireLimits.depth + 1))?.code == .limitExceeded)
    }

    @Test(arguments: ["s", "ay", "an"])
    func refusesMessagesOverTheLimits(type: String) throws {
        // Made in here: arguments of that size would be written to the log.
        let value: DBusValue =
            switch type {
            case "s": .string(String(repeating: "x", count: WireLimits.messageBytes + 1))
            case "ay": .bytes([UInt8](repeating: 0, count: WireLimits.messageBytes + 1))
            default: .array(elementSignature: "n", [DBusValue](repeating: .int16(0), count: WireLimits.values + 1))
            }
        let code = error(encoding: value)?.code
        #expect(code == .limitExceeded)
    }

    @Test func refusesToBecomeMoreValuesThanTheLimit() throws {
        let message = try #require(dbus_message_new_method_call("a.b", "/", "a.b", "C"))
        defer { dbus_message_unref(message) }
        let bytes = [Int16](repeating: 0, count: WireLimits.values + 1)
        var iterator = DBusMessageIter()
        var inner = DBusMessageIter()
        dbus_message_iter_init_append(message, &iterator)
        dbus_message_iter_open_container(&iterator, WireType.array, "n", &inner)
        bytes.withUnsafeBufferPointer { buffer in
            var start = buffer.baseAddress
            dbus_message_iter_append_fixed_array(&inner, WireType.int16, &start, Int32(buffer.count))
        }
        dbus_message_iter_close_container(&iterator, &inner)
        let error = #expect(throws: RktError.self) { try MessageDecoder.arguments(of: message) }
        #expect(error?.code == .limitExceeded)
    }

    @Test func damagedMessagesAreRefusedOrDecodedAndNothingElse() throws {
        var generator = SeededGenerator(seed: 1)
        var refused = 0
        for _ in 0..<2000 {
            let signature = DBusValue.randomSignature(depth: 4, using: &generator)
            var bytes = try marshalled([.random(signature[...], depth: 4, using: &generator)])
            // Near the end, where the values are: damage to the header is libdbus's own matter.
            let position = Int.random(in: bytes.count * 3 / 4..<bytes.count, using: &generator)
            bytes[position] = CChar.random(in: .min ... .max, using: &generator)
            guard let message = dbus_message_demarshal(bytes, Int32(bytes.count), nil) else {
                refused += 1
                continue
            }
            defer { dbus_message_unref(message) }
            let decoded = try MessageDecoder.arguments(of: message)
            let types = dbus_message_get_signature(message).map { String(cString: $0) }
            #expect(decoded.map(\.signature).joined() == types)
        }
        #expect(refused > 100 && refused < 1900)
    }

    @Test func namesTheTypeItExpectedAndTheOneItFound() throws {
        let mistakes: [(String, String, () throws -> Void)] = [
            ("s", "u", { _ = try DBusValue.uint32(1).asString() }),
            ("u", "s", { _ = try DBusValue.string("1").asUInt32() }),
            ("a{sv}", "as", { _ = try DBusValue.strings([]).asProperties() }),
            ("(so)", "(ss)", { _ = try DBusValue.structure([.string(""), .string("")]).asStructure("(so)") }),
            ("ay", "v", { _ = try DBusValue.variant(.bytes([])).asBytes() }),
        ]
        for (expected, found, mistake) in mistakes {
            let error = try #require(#expect(throws: RktError.self) { try mistake() })
            #expect(error.code == .invalidData)
            #expect(error.description.contains("type \(found) where \(expected) is"))
        }
    }
}

extension DBusValue {
    /// The array with other elements, whatever their type.
    fileprivate func replacing(with element: DBusValue) -> DBusValue {
        guard case .array(let signature, _) = self else { return self }
        return .array(elementSignature: signature, [element])
    }
}
