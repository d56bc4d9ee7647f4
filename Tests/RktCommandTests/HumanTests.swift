internal import Glibc
internal import Testing
@testable internal import rkt_systemd

@Suite struct HumanTests {
    private static let now: Int64 = 1_700_000_000_000_000_000
    private static let day: Int64 = 86_400

    @Test(
        arguments: [
            (0, "now"), (1, "1 second ago"), (2, "2 seconds ago"), (59, "59 seconds ago"), (60, "1 minute ago"),
            (119, "1 minute ago"), (120, "2 minutes ago"), (3599, "59 minutes ago"), (3600, "1 hour ago"),
            (7200, "2 hours ago"), (day - 1, "23 hours ago"), (day, "1 day ago"), (2 * day, "2 days ago"),
            (7 * day - 1, "6 days ago"), (7 * day, "1 week ago"), (14 * day, "2 weeks ago"),
            (30 * day - 1, "4 weeks ago"), (30 * day, "1 month ago"), (60 * day, "2 months ago"),
            (360 * day - 1, "11 months ago"), (360 * day, "1 year ago"), (540 * day - 1, "1 year ago"),
            (540 * day, "2 years ago"), (720 * day, "2 years ago"), (1080 * day, "3 years ago"),
            (37 * 360 * day, "a long while ago"), (-1, "1 second from now"), (-90, "1 minute from now"),
            (-37 * 360 * day, "a long while from now"),
        ] as [(Int64, String)]
    )
    func `says how long ago a time is`(seconds: Int64, expected: String) {
        #expect(HumanTime.relative(Self.now - seconds * 1_000_000_000, now: Self.now) == expected)
    }

    @Test func `compares whole seconds`() {
        #expect(HumanTime.relative(999_999_999, now: 1_000_000_000) == "1 second ago")
        #expect(HumanTime.relative(-1, now: 0) == "1 second ago")
        #expect(HumanTime.relative(0, now: 999_999_999) == "now")
    }

    @Test(
        arguments: [
            (123, 7200, "CEST", "2006-01-02 15:04:05.123 +0200 CEST"),
            (120, 0, "UTC", "2006-01-02 15:04:05.12 +0000 UTC"),
            (100, -25200, "MST", "2006-01-02 15:04:05.1 -0700 MST"),
            (5, 19800, "IST", "2006-01-02 15:04:05.005 +0530 IST"),
            (0, -12600, "-0330", "2006-01-02 15:04:05 -0330 -0330"),
        ]
    )
    func `prints a time in full`(milliseconds: Int, offset: Int, zone: String, expected: String) {
        var local = tm()
        (local.tm_year, local.tm_mon, local.tm_mday) = (106, 0, 2)
        (local.tm_hour, local.tm_min, local.tm_sec) = (15, 4, 5)
        local.tm_gmtoff = offset
        #expect(HumanTime.full(local, milliseconds: milliseconds, zone: zone) == expected)
    }

    @Test(arguments: [0, 1_700_000_000, 1_752_000_000, -86_401, 4_102_444_799] as [Int64])
    func `uses the local time zone as date does`(seconds: Int64) throws {
        let pipe = try #require(popen("date -d @\(seconds) '+%Y-%m-%d %H:%M:%S.007 %z %Z'", "r"))
        defer { pclose(pipe) }
        var line = [CChar](repeating: 0, count: 128)
        try #require(fgets(&line, 128, pipe) != nil)
        let expected = String(decoding: line.prefix { $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        #expect(HumanTime.full(seconds * 1_000_000_000 + 7_999_999) == expected)
    }

    @Test(
        arguments: [
            (0, "0B"), (9, "9B"), (10, "10B"), (1023, "1023B"), (1024, "1.0KiB"), (1536, "1.5KiB"),
            (10_188, "9.9KiB"), (10_189, "10KiB"), (10_752, "10KiB"), (11_776, "12KiB"), (82_854_982, "79MiB"),
            (1_048_575, "1024KiB"), (1_048_576, "1.0MiB"), (1_073_741_824, "1.0GiB"), (1 << 40, "1.0TiB"),
            (1 << 60, "1.0EiB"), (UInt64.max, "16EiB"),
        ] as [(UInt64, String)]
    )
    func `says sizes in units of 1024`(bytes: UInt64, expected: String) {
        #expect(HumanSize.iec(bytes) == expected)
    }
}
