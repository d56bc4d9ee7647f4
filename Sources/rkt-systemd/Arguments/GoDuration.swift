internal import Diagnostics

/// A span of time as rkt's flags write it: `30m`, `24h`, `1h2m3.5s`, `100ms`.
struct GoDuration: Equatable, Sendable {
    /// The span, to the nanosecond.
    let duration: Duration

    init(_ duration: Duration) {
        self.duration = duration
    }

    private static let units: [String: Int64] = [
        "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000,
        "m": 60_000_000_000, "h": 3_600_000_000_000,
    ]

    /// Reads a span of time: numbers with units in any order, perhaps with a sign in front.
    ///
    /// - Parameter text: The text; `0` needs no unit.
    /// - Throws: ``RktError`` with `invalidArgument`, also for more than 292 years.
    init(parsing text: String) throws {
        func invalid(_ why: String) -> RktError {
            RktError(.invalidArgument, "\(FlagValue.quoted(text)) is not a duration such as 30m or 1h2.5s: \(why)")
        }
        var rest = Substring(text)
        let isNegative = rest.first == "-"
        if isNegative || rest.first == "+" { rest.removeFirst() }
        guard rest != "0" else {
            duration = .zero
            return
        }
        guard !rest.isEmpty else { throw invalid("it is empty") }
        var total: Int64 = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest[number.endIndex...]
            let unit = rest.prefix { !($0.isASCII && $0.isNumber) && $0 != "." }
            rest = rest[unit.endIndex...]
            let parts = number.split(separator: ".", omittingEmptySubsequences: false)
            guard number.contains(where: { $0 != "." }), parts.count <= 2 else { throw invalid("a number is missing") }
            guard !unit.isEmpty else { throw invalid("the unit is missing behind \(number)") }
            guard let scale = Self.units[String(unit)] else {
                throw invalid("there is no unit \(FlagValue.quoted(String(unit)))")
            }
            guard let amount = Self.amount(parts, scale) else { throw invalid("it is too long") }
            let (sum, overflow) = total.addingReportingOverflow(amount)
            guard !overflow else { throw invalid("it is too long") }
            total = sum
        }
        duration = .nanoseconds(isNegative ? -total : total)
    }

    /// A number, split at its point, of a unit in nanoseconds; nil when it does not fit.
    private static func amount(_ parts: [Substring], _ scale: Int64) -> Int64? {
        guard let whole = parts[0].isEmpty ? 0 : Int64(parts[0]) else { return nil }
        let (product, overflow) = whole.multipliedReportingOverflow(by: scale)
        guard !overflow else { return nil }
        guard parts.count == 2 else { return product }
        // Digits behind the eighteenth are below a nanosecond in any unit.
        let digits = parts[1].prefix(18)
        var divisor: Int128 = 1
        for _ in digits { divisor *= 10 }
        let fraction = Int64((Int128(digits) ?? 0) * Int128(scale) / divisor)
        return product.addingReportingOverflow(fraction).overflow ? nil : product + fraction
    }
}

extension GoDuration: CustomStringConvertible {
    /// The span as Go writes it: `24h0m0s`, `1m2.5s`, `100ms`, `0s`.
    var description: String {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = attoseconds / 1_000_000_000
        let sign = duration < .zero ? "-" : ""
        let whole = seconds.magnitude
        let rest = nanoseconds.magnitude
        guard whole > 0 else {
            switch rest {
            case 0: return "0s"
            case ..<1000: return "\(sign)\(rest)ns"
            case ..<1_000_000: return sign + Self.decimal(rest, 3) + "µs"
            default: return sign + Self.decimal(rest, 6) + "ms"
            }
        }
        let hours = whole / 3600
        let minutes = whole / 60 % 60
        let clock = hours > 0 ? "\(hours)h\(minutes)m" : minutes > 0 ? "\(minutes)m" : ""
        return sign + clock + Self.decimal(whole % 60 * 1_000_000_000 + rest, 9) + "s"
    }

    /// A number with its point moved to the left, without zeros at the end.
    private static func decimal(_ number: UInt64, _ places: Int) -> String {
        var digits = String(number)
        digits = String(repeating: "0", count: max(0, places + 1 - digits.count)) + digits
        var fraction = digits.suffix(places)
        while fraction.last == "0" { fraction.removeLast() }
        return digits.dropLast(places) + (fraction.isEmpty ? "" : "." + fraction)
    }
}

/// How long `--wait` and `--wait-ready` wait.
enum WaitLimit: Equatable, Sendable {
    /// Not at all.
    case none
    /// As long as it takes.
    case forever
    /// So long at most.
    case atMost(Duration)

    /// Reads the value of the flag.
    ///
    /// - Parameter text: A truth value, or a span of time; a negative one means as long as it takes.
    /// - Throws: ``RktError`` with `invalidArgument`.
    init(_ text: String) throws {
        if let truth = try? FlagValue.bool(text) {
            self = truth ? .forever : .none
            return
        }
        let duration = try GoDuration(parsing: text).duration
        self = duration == .zero ? .none : duration < .zero ? .forever : .atMost(duration)
    }
}
