import Diagnostics

@testable import UnitGen

/// Reads unit files as systemd does: what was written must come back.
extension UnitFile {
    /// The largest unit file that is read, in bytes.
    static let sizeLimit = 4 << 20

    /// Reads a unit file.
    ///
    /// - Parameter text: The file's text.
    /// - Throws: ``RktError`` as ``init(parsing:)-([UInt8])``.
    init(parsing text: String) throws {
        try self.init(parsing: Array(text.utf8))
    }

    /// Reads a unit file: comments and empty lines are passed over, continued lines joined as systemd joins them.
    ///
    /// What systemd would pass over with a warning is an error here. Values stay as they stand in the file, with their
    /// quotes and escapes.
    ///
    /// - Parameter bytes: The file's content.
    /// - Throws: ``RktError`` with `invalidData`, naming the line, for what is neither section nor assignment;
    ///   `limitExceeded` for a line or a file that is too long.
    init(parsing bytes: [UInt8]) throws {
        self.init()
        guard bytes.count <= Self.sizeLimit else {
            throw RktError(.limitExceeded, "the unit file is larger than \(Self.sizeLimit) bytes")
        }
        let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]
        var section: String?
        var pending: [UInt8] = []
        var start: Int?
        for (index, line) in Self.lines(of: bytes.dropFirst(bytes.starts(with: byteOrderMark) ? 3 : 0)).enumerated() {
            // A comment between the parts of a continued line does not end it.
            if let first = Self.trimmed(line).first, "#;".utf8.contains(first) { continue }
            let number = start ?? index + 1
            guard pending.count + line.count < Self.lineLimit else {
                throw RktError(.limitExceeded, "line \(number) of the unit file is longer than \(Self.lineLimit) bytes")
            }
            pending += line
            if Self.continues(line) {
                pending[pending.count - 1] = UInt8(ascii: " ")
                start = number
                continue
            }
            try take(Self.trimmed(pending[...]), line: number, in: &section)
            pending = []
            start = nil
        }
        // What a last line asks to be continued by nothing is a line.
        if let start { try take(Self.trimmed(pending[...]), line: start, in: &section) }
    }

    private mutating func take(_ line: ArraySlice<UInt8>, line number: Int, in current: inout String?) throws {
        guard let first = line.first else { return }
        guard let text = String(validating: line, as: UTF8.self), UnitText.isReadable(text) else {
            throw RktError(.invalidData, "line \(number) of the unit file is not UTF-8 text")
        }
        if first == UInt8(ascii: "[") {
            let name = String(text.dropFirst().dropLast())
            guard line.last == UInt8(ascii: "]"), Self.isSectionName(name) else {
                throw RktError(.invalidData, "line \(number) of the unit file is no section: \(Self.shown(text))")
            }
            open(name)
            current = name
            return
        }
        guard let current else {
            throw RktError(.invalidData, "line \(number) of the unit file is in no section: \(Self.shown(text))")
        }
        guard let equals = line.firstIndex(of: UInt8(ascii: "=")) else {
            throw RktError(.invalidData, "line \(number) of the unit file is no assignment: \(Self.shown(text))")
        }
        let key = String(decoding: Self.trimmed(line[..<equals]), as: UTF8.self)
        guard Self.isKey(key) else {
            throw RktError(.invalidData, "line \(number) of the unit file has no valid key: \(Self.shown(text))")
        }
        let value = String(decoding: Self.trimmed(line[line.index(after: equals)...]), as: UTF8.self)
        append(Assignment(key: key, value: value), to: current)
    }

    /// The lines; as with systemd, a line ends with a line feed, a carriage return, both, or a NUL.
    private static func lines(of bytes: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = bytes.startIndex
        var index = start
        while index < bytes.endIndex {
            let byte = bytes[index]
            if byte == 10 || byte == 13 || byte == 0 {
                lines.append(bytes[start..<index])
                if byte == 13, index + 1 < bytes.endIndex, bytes[index + 1] == 10 { index += 1 }
                start = index + 1
            }
            index += 1
        }
        if start < bytes.endIndex { lines.append(bytes[start...]) }
        return lines
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        let isSpace: (UInt8) -> Bool = { $0 == 32 || $0 == 9 }
        var rest = line.drop(while: isSpace)
        while let last = rest.last, isSpace(last) { rest.removeLast() }
        return rest
    }

    /// A line as an error shows it: not all of it, and nothing that a terminal would obey.
    private static func shown(_ line: String) -> String { String(line.unicodeScalars.prefix(80)).debugDescription }

    /// The values of a key, in order.
    func values(_ section: String, _ key: String) -> [String] {
        sections.filter { $0.name == section }.flatMap(\.assignments).filter { $0.key == key }.map(\.value)
    }
}
