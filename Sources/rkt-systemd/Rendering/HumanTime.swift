internal import Glibc

/// Times as people read them. All times are nanoseconds since the epoch.
enum HumanTime {
    private static let second: Int64 = 1_000_000_000
    private static let minute: Int64 = 60
    private static let hour = 60 * minute
    private static let day = 24 * hour
    private static let week = 7 * day
    private static let month = 30 * day
    private static let year = 12 * month

    /// How long ago or ahead a time is, in the largest whole unit, as rkt's tables say it: `3 minutes ago`.
    ///
    /// - Parameters:
    ///   - time: The time.
    ///   - now: The present.
    /// - Returns: `now` for less than a second; a month has 30 days, a year 12 months.
    static func relative(_ time: Int64, now: Int64) -> String {
        let label = time > now ? "from now" : "ago"
        let seconds = abs(floored(time) - floored(now))
        switch seconds {
        case ..<1: return "now"
        case ..<minute: return count(seconds, "second", label)
        case ..<hour: return count(seconds / minute, "minute", label)
        case ..<day: return count(seconds / hour, "hour", label)
        case ..<week: return count(seconds / day, "day", label)
        case ..<month: return count(seconds / week, "week", label)
        case ..<year: return count(seconds / month, "month", label)
        // Between one and a half and two years it is rounded up.
        case ..<(18 * month): return "1 year \(label)"
        case ..<(2 * year): return "2 years \(label)"
        case ..<(37 * year): return count(seconds / year, "year", label)
        default: return "a long while \(label)"
        }
    }

    private static func count(_ number: Int64, _ unit: String, _ label: String) -> String {
        "\(number) \(unit)\(number == 1 ? "" : "s") \(label)"
    }

    private static func floored(_ time: Int64) -> Int64 {
        time >= 0 ? time / second : -((-time + second - 1) / second)
    }

    /// A time in full, in the local time zone, as `--full` prints it: `2006-01-02 15:04:05.999 -0700 MST`.
    ///
    /// - Parameter time: The time.
    /// - Returns: With milliseconds less their trailing zeros, and without the point when they are zero.
    static func full(_ time: Int64) -> String {
        let seconds = floored(time)
        var moment = time_t(seconds)
        var local = tm()
        // It fails only for years that do not fit an Int32.
        guard localtime_r(&moment, &local) != nil else { return "\(seconds)" }
        let zone = local.tm_zone.map { String(cString: $0) } ?? ""
        return full(local, milliseconds: Int(time - seconds * second) / 1_000_000, zone: zone)
    }

    static func full(_ local: tm, milliseconds: Int, zone: String) -> String {
        let year = padded(Int(local.tm_year) + 1900, 4)
        let date = "\(year)-\(padded(Int(local.tm_mon) + 1))-\(padded(Int(local.tm_mday)))"
        let clock = "\(padded(Int(local.tm_hour))):\(padded(Int(local.tm_min))):\(padded(Int(local.tm_sec)))"
        var fraction = padded(milliseconds, 3)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let offset = Int(local.tm_gmtoff) / 60
        let sign = offset < 0 ? "-" : "+"
        let offsetText = "\(sign)\(padded(abs(offset) / 60))\(padded(abs(offset) % 60))"
        return "\(date) \(clock)\(fraction.isEmpty ? "" : "." + fraction) \(offsetText) \(zone)"
    }

    private static func padded(_ number: Int, _ digits: Int = 2) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// The present.
    static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * second + Int64(time.tv_nsec)
    }
}
