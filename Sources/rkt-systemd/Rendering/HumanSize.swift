/// Sizes as people read them.
enum HumanSize {
    private static let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]

    /// A number of bytes in the largest unit of 1024 that it reaches: `79MiB`, `1.5GiB`.
    ///
    /// - Parameter bytes: The number.
    /// - Returns: With one decimal below ten units, without below ten bytes and from ten units on.
    static func iec(_ bytes: UInt64) -> String {
        guard bytes >= 10 else { return "\(bytes)B" }
        let unit = (UInt64.bitWidth - 1 - bytes.leadingZeroBitCount) / 10
        let shift = UInt64(unit * 10)
        let rest = bytes & ((1 << shift) - 1)
        let half: UInt64 = shift == 0 ? 0 : 1 << (shift - 1)
        let tenths = (bytes >> shift) * 10 + (rest * 10 + half) >> shift
        guard tenths >= 100 else { return "\(tenths / 10).\(tenths % 10)\(units[unit])" }
        // The decimal is rounded away, a half to the even neighbour.
        let whole = tenths / 10
        let up = tenths % 10 > 5 || (tenths % 10 == 5 && whole % 2 == 1)
        return "\(up ? whole + 1 : whole)\(units[unit])"
    }
}
