/// What systemd says of a unit: asked for, or told of in its signals.
struct UnitFacts {
    /// As `names` has them.
    enum Property: Int {
        case state, job, changed, activated, deactivated, result, cause, status, started, ended
    }

    /// What a unit's state comes to here.
    enum State {
        static let up: UInt64 = 0
        static let inactive: UInt64 = 1
        static let failed: UInt64 = 2
    }

    /// How a unit's process has ended, by systemd's word.
    enum Result {
        static let other: UInt64 = 0
        static let success: UInt64 = 1
        static let timeout: UInt64 = 2
    }

    private static let unitCount = 5
    private static var names: [StaticString] {
        [
            "ActiveState", "Job", "StateChangeTimestampMonotonic", "ActiveEnterTimestampMonotonic",
            "ActiveExitTimestampMonotonic", "Result", "ExecMainCode", "ExecMainStatus",
            "ExecMainStartTimestampMonotonic",
            "ExecMainExitTimestampMonotonic",
        ]
    }
    private var values = [UInt64?](repeating: nil, count: 10)

    subscript(property: Property) -> UInt64? { values[property.rawValue] }

    /// Whether nothing is missing.
    var isWhole: Bool { values.allSatisfy { $0 != nil } }

    /// Whether the unit is down and is not about to be started; nil when that is not known.
    var isDown: Bool? {
        guard let state = self[.state], let job = self[.job] else { return nil }
        return state != State.up && job == 0
    }

    // MARK: Asking

    /// What to ask for a property of a unit.
    static func question(_ property: Property, of unit: Text) -> BusCall {
        let isOfUnit = property.rawValue < unitCount
        let interface = isOfUnit ? SystemdUnit.interface : SystemdUnit.serviceInterface
        return BusCall.property(unit, interface, names[property.rawValue])
    }

    /// Takes an answer; nothing of one that was refused.
    mutating func take(_ property: Property, _ answer: BusMessage?) {
        guard let answer else { return }
        var reader = BusReader(answer.body)
        values[property.rawValue] = Self.value(property, &reader)
    }

    // MARK: Listening

    /// Takes what a signal of a unit tells. systemd tells of all that can change, first as of a service, then as of any
    /// unit: the two together are of one moment.
    ///
    /// - Parameter body: The signal's.
    /// - Returns: Whether that was the second one.
    mutating func take(signal body: [UInt8]) -> Bool {
        var reader = BusReader(body)
        guard let interface = reader.string() else { return false }
        let isOfUnit = equal(interface, SystemdUnit.interface)
        if !isOfUnit { values = [UInt64?](repeating: nil, count: 10) }
        guard isOfUnit || equal(interface, SystemdUnit.serviceInterface), let end = reader.arrayEnd(of: 8) else {
            return isOfUnit
        }
        let names = Self.names
        let range = isOfUnit ? 0..<Self.unitCount : Self.unitCount..<names.count
        while reader.position < end {
            reader.align(8)
            guard let name = reader.string() else { break }
            if let place = range.first(where: { equal(name, names[$0]) }), let property = Property(rawValue: place) {
                values[place] = Self.value(property, &reader)
                if values[place] == nil { break }
            } else if !reader.skipVariant() {
                break
            }
        }
        return isOfUnit
    }

    /// The value of a property, which is a variant.
    private static func value(_ property: Property, _ reader: inout BusReader) -> UInt64? {
        guard let type = reader.signature() else { return nil }
        switch property {
        case .state, .result:
            guard equal(type, "s"), let text = reader.string() else { return nil }
            if property == .state {
                return equal(text, "inactive") ? State.inactive : equal(text, "failed") ? State.failed : State.up
            }
            return equal(text, "success") ? Result.success : equal(text, "timeout") ? Result.timeout : Result.other
        case .job:
            guard equal(type, "(uo)") else { return nil }
            reader.align(8)
            guard let number = reader.number(), reader.string() != nil else { return nil }
            return UInt64(number)
        case .cause, .status: return equal(type, "i") ? reader.number().map { UInt64($0) } : nil
        default: return equal(type, "t") ? reader.longNumber() : nil
        }
    }
}
