/// Text as one component of an object path.
///
/// systemd names its unit and machine objects by such labels: letters and digits stay, any other byte, and a digit in
/// front, becomes `_` and two hexadecimal digits; empty text becomes `_`.
public enum BusLabel {
    /// Writes text as a label.
    ///
    /// - Parameter text: Any text.
    /// - Returns: The label, valid in an object path.
    public static func escape(_ text: String) -> String {
        if text.isEmpty { return "_" }
        let digits = Array("0123456789abcdef".utf8)
        var label: [UInt8] = []
        label.reserveCapacity(text.utf8.count + 16)
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"):
                label.append(byte)
            case UInt8(ascii: "0")...UInt8(ascii: "9") where !label.isEmpty:
                label.append(byte)
            default:
                label += [UInt8(ascii: "_"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: label, as: UTF8.self)
    }
}
