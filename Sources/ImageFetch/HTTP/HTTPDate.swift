/// Points in time as HTTP writes them (RFC 9110, 5.6.7): seconds since 1970, in UTC.
enum HTTPDate {
    /// Reads a date in any of its three forms: `Sun, 06 Nov 1994 08:49:37 GMT`, and the obsolete
    /// `Sunday, 06-Nov-94 08:49:37 GMT` and `Sun Nov  6 08:49:37 1994`.
    ///
    /// - Parameters:
    ///   - text: The date.
    ///   - now: The present, which tells the century of a year of two digits.
    /// - Returns: The seconds; nil for what is no date.
    static func seconds(_ text: String, now: Int64) -> Int64? {
        let words = text.split(separator: " ").map(String.init)
        if words.count == 6, words[0].hasSuffix(","), words[5] == "GMT" {
            return seconds(day: words[1], month: words[2], year: fourDigits(words[3]), time: words[4])
        }
        if words.count == 4, words[0].hasSuffix(","), words[3] == "GMT" {
            let parts = words[1].split(separator: "-", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3, let short = number(parts[2], digits: 2) else { return nil }
            let present = year(of: now)
            let guess = present / 100 * 100 + short
            // What seems to be more than fifty years ahead is of the century before.
            let year = guess > present + 50 ? guess - 100 : guess
            return seconds(day: parts[0], month: parts[1], year: year, time: words[2])
        }
        if words.count == 5 {
            let day = words[2].utf8.count == 1 ? "0\(words[2])" : words[2]
            return seconds(day: day, month: words[1], year: fourDigits(words[4]), time: words[3])
        }
        return nil
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]

    private static func seconds(day: String, month: String, year: Int64?, time: String) -> Int64? {
        let clock = time.split(separator: ":", omittingEmptySubsequences: false).compactMap { number($0, digits: 2) }
        guard let year, let day = number(day, digits: 2), let month = months.firstIndex(of: month), clock.count == 3,
            time.utf8.count == 8, clock[0] < 24, clock[1] < 60, clock[2] <= 60, (1...31).contains(day)
        else { return nil }
        return days(year, Int64(month) + 1, day) * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }

    private static func fourDigits(_ text: String) -> Int64? { number(text, digits: 4) }

    private static func number(_ text: some StringProtocol, digits: Int) -> Int64? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return Int64(text)
    }

    /// The days from 1970 to a day of the Gregorian calendar; a year is counted from March on, so that a leap day is its last.
    private static func days(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let ofEra = shifted - era * 400
        let ofYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    /// The year of a point in time.
    private static func year(of seconds: Int64) -> Int64 {
        var year = 1970 + seconds / 31_556_952
        while days(year, 1, 1) * 86400 > seconds { year -= 1 }
        while days(year + 1, 1, 1) * 86400 <= seconds { year += 1 }
        return year
    }
}

/// How long a server wants to be left alone (RFC 9110, 10.2.3).
enum RetryAfter {
    /// Reads the header of an answer.
    ///
    /// - Parameters:
    ///   - response: The answer.
    ///   - now: The present, by this machine's clock.
    /// - Returns: The seconds, none of them negative; nil when the server does not say.
    static func seconds(_ response: HTTPResponse, now: Int64) -> Int64? {
        guard let text = response.header("retry-after") else { return nil }
        if !text.isEmpty, text.utf8.allSatisfy({ (48...57).contains($0) }) { return Int64(text) ?? .max }
        guard let date = HTTPDate.seconds(text, now: now) else { return nil }
        // A date is of the server's clock, which may be another one.
        let present = response.header("date").flatMap { HTTPDate.seconds($0, now: now) } ?? now
        return max(0, date - present)
    }
}
