internal import Diagnostics

/// Encodes into ``JSONNode``s, keeping the order in which members are written.
///
/// The encoder of Foundation keeps none: its objects come out sorted or shuffled.
struct OrderedEncoder: Encoder {
    let node: JSONNode
    let codingPath: [any CodingKey]
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        if node.isEmpty { node.kind = .object }
        return KeyedEncodingContainer(Keyed<Key>(node: node, codingPath: codingPath))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        if node.isEmpty { node.kind = .array }
        return Unkeyed(node: node, codingPath: codingPath)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { self }

    /// Encodes a value as this encoder's node.
    func encodeValue(_ value: some Encodable) throws {
        try value.encode(to: self)
        if value is any UnorderedMembers { node.sortMembers() }
    }

    private struct Keyed<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let node: JSONNode
        let codingPath: [any CodingKey]

        private func encoder(_ key: any CodingKey) -> OrderedEncoder {
            OrderedEncoder(node: node.member(key.stringValue), codingPath: codingPath + [key])
        }

        mutating func encodeNil(forKey key: Key) throws { try encoder(key).encodeNil() }

        mutating func encode(_ value: some Encodable, forKey key: Key) throws { try encoder(key).encodeValue(value) }

        mutating func nestedContainer<Nested: CodingKey>(
            keyedBy type: Nested.Type,
            forKey key: Key
        ) -> KeyedEncodingContainer<Nested> {
            encoder(key).container(keyedBy: type)
        }

        mutating func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            encoder(key).unkeyedContainer()
        }

        mutating func superEncoder() -> any Encoder { encoder(NamedKey(stringValue: "super")) }

        mutating func superEncoder(forKey key: Key) -> any Encoder { encoder(key) }
    }

    private struct Unkeyed: UnkeyedEncodingContainer {
        let node: JSONNode
        let codingPath: [any CodingKey]
        private(set) var count = 0

        init(node: JSONNode, codingPath: [any CodingKey]) {
            self.node = node
            self.codingPath = codingPath
        }

        private mutating func nextEncoder() -> OrderedEncoder {
            defer { count += 1 }
            let key = NamedKey(intValue: count)
            return OrderedEncoder(node: node.appendElement(), codingPath: codingPath + [key])
        }

        mutating func encodeNil() throws { try nextEncoder().encodeNil() }

        mutating func encode(_ value: some Encodable) throws { try nextEncoder().encodeValue(value) }

        mutating func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
            nextEncoder().container(keyedBy: type)
        }

        mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nextEncoder().unkeyedContainer() }

        mutating func superEncoder() -> any Encoder { nextEncoder() }
    }

    /// A key that no type declares.
    private struct NamedKey: CodingKey {
        let stringValue: String
        let intValue: Int?

        init(stringValue: String) {
            self.stringValue = stringValue
            intValue = nil
        }

        init(intValue: Int) {
            stringValue = String(intValue)
            self.intValue = intValue
        }
    }
}

extension OrderedEncoder: SingleValueEncodingContainer {
    func encodeNil() throws { node.kind = .scalar("null") }
    func encode(_ value: Bool) throws { node.kind = .scalar(value ? "true" : "false") }
    func encode(_ value: String) throws { node.kind = .scalar(JSONText.quoted(value)) }
    func encode(_ value: Float) throws { try encode(Double(value)) }
    func encode(_ value: Int) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: Int8) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: Int16) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: Int32) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: Int64) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: UInt) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: UInt8) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: UInt16) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: UInt32) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: UInt64) throws { node.kind = .scalar(String(value)) }
    func encode(_ value: some Encodable) throws { try encodeValue(value) }

    func encode(_ value: Double) throws {
        guard value.isFinite else {
            let path = codingPath.map(\.stringValue).joined(separator: ".")
            throw RktError(.invalidData, "JSON has no number \(value) (at \"\(path)\")")
        }
        let whole = value.rounded() == value && abs(value) < 1e15
        node.kind = .scalar(whole ? String(Int64(value)) : "\(value)")
    }
}

/// Dictionaries with text as keys: they have no order of their own.
private protocol UnorderedMembers {}

extension Dictionary: UnorderedMembers where Key == String {}
