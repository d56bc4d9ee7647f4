/// Names of signals, as images and units write them.
public enum SignalName {
    private static let names: [(String, Int32)] = [
        ("HUP", 1), ("INT", 2), ("QUIT", 3), ("ILL", 4), ("TRAP", 5), ("ABRT", 6), ("BUS", 7), ("FPE", 8), ("KILL", 9),
        ("USR1", 10), ("SEGV", 11), ("USR2", 12), ("PIPE", 13), ("ALRM", 14), ("TERM", 15), ("STKFLT", 16),
        ("CHLD", 17), ("CONT", 18), ("STOP", 19), ("TSTP", 20), ("TTIN", 21), ("TTOU", 22), ("URG", 23), ("XCPU", 24),
        ("XFSZ", 25), ("VTALRM", 26), ("PROF", 27), ("WINCH", 28), ("IO", 29), ("PWR", 30), ("SYS", 31),
    ]
    private static let realTime: ClosedRange<Int32> = 34...64

    /// Names that are another's: images have them.
    private static let aliases: [(String, Int32)] = [("IOT", 6), ("CLD", 17), ("POLL", 29)]

    /// The number of a signal.
    ///
    /// - Parameter text: `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `RTMAX-1`, in any case.
    /// - Returns: The number; nil when there is no such signal.
    public static func number(_ text: String) -> Int32? {
        guard text.utf8.allSatisfy({ $0 < 128 }) else { return nil }
        if let number = decimal(text[...]) {
            return (1...31).contains(number) || realTime.contains(number) ? number : nil
        }
        let upper = text.uppercased()
        let name = upper.hasPrefix("SIG") ? upper.dropFirst(3) : upper[...]
        if let number = (names + aliases).first(where: { $0.0 == name })?.1 { return number }
        let offset = name.dropFirst(5)
        let distance = offset.isEmpty ? 0 : decimal(offset.dropFirst())
        guard let distance, distance <= realTime.upperBound - realTime.lowerBound else { return nil }
        switch (name.prefix(5), offset.first) {
        case ("RTMIN", nil), ("RTMIN", "+"): return realTime.lowerBound + distance
        case ("RTMAX", nil), ("RTMAX", "-"): return realTime.upperBound - distance
        default: return nil
        }
    }

    private static func decimal(_ text: Substring) -> Int32? {
        text.utf8.allSatisfy { (48...57).contains($0) } ? Int32(text) : nil
    }

    /// The name of a signal.
    ///
    /// - Parameter number: The number.
    /// - Returns: `SIGTERM`, `SIGRTMIN+3`, or the number itself.
    public static func name(_ number: Int32) -> String {
        if let name = names.first(where: { $0.1 == number })?.0 { return "SIG\(name)" }
        if realTime.contains(number) { return "SIGRTMIN+\(number - realTime.lowerBound)" }
        return "\(number)"
    }
}
