internal import Diagnostics

/// A unit file: sections in order, each with its assignments in order. A key may be there several times.
///
/// What one of these holds systemd reads back from its ``description``.
public struct UnitFile: Sendable, Hashable {
    /// A section.
    public struct Section: Sendable, Hashable {
        /// The section's name.
        public let name: String
        /// The assignments.
        public internal(set) var assignments: [Assignment] = []
    }

    /// An assignment; the value is as it stands in the file, escaped for its key.
    public struct Assignment: Sendable, Hashable {
        /// The key.
        public let key: String
        /// The value, in one line.
        public let value: String
    }

    /// The sections.
    public private(set) var sections: [Section] = []

    /// The longest line that systemd reads, with its continuations, in bytes.
    public static let lineLimit = 1 << 20

    /// An empty file.
    public init() {}

    /// Adds an assignment at the end of a section, which is made if it is not there.
    ///
    /// - Parameters:
    ///   - section: The section.
    ///   - key: The key.
    ///   - value: The value, escaped for the key.
    /// - Throws: ``RktError`` with `invalidArgument`, naming the key, for what systemd would read differently or not at
    ///   all; `limitExceeded` when the line would be too long.
    public mutating func add(_ section: String, _ key: String, _ value: String) throws {
        guard Self.isSectionName(section) else {
            throw RktError(.invalidArgument, "\(section.debugDescription) is no name for a section of a unit file")
        }
        guard Self.isKey(key) else {
            throw RktError(.invalidArgument, "\(key.debugDescription) is no name for a key in a unit file")
        }
        let bytes = Array(value.utf8)
        guard Self.isValue(bytes), UnitText.isReadable(value) else {
            throw RktError(.invalidArgument, "the value of \(key)= cannot stand in a unit file: escape it")
        }
        guard key.utf8.count + bytes.count + 2 < Self.lineLimit else {
            throw RktError(.limitExceeded, "the value of \(key)= is longer than the \(Self.lineLimit) bytes of a line")
        }
        append(Assignment(key: key, value: value), to: section)
    }

    /// Adds a section without assignments; a section that is there stays as it is.
    mutating func open(_ section: String) {
        guard !sections.contains(where: { $0.name == section }) else { return }
        sections.append(Section(name: section))
    }

    mutating func append(_ assignment: Assignment, to section: String) {
        open(section)
        guard let index = sections.firstIndex(where: { $0.name == section }) else { return }
        sections[index].assignments.append(assignment)
    }

    /// Whether it can be a section's name: printable ASCII on one line, without brackets.
    static func isSectionName(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 32 && $0 < 127 && !"[]\\".utf8.contains($0) }
    }

    /// Whether it can be a key: printable ASCII without what has a meaning in the syntax.
    static func isKey(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 > 32 && $0 < 127 && !"=[]#;\\".utf8.contains($0) }
    }

    /// Whether a value comes back as it is: nothing that ends the line or is cut off at its ends.
    private static func isValue(_ bytes: [UInt8]) -> Bool {
        !bytes.contains { $0 == 0 || $0 == 10 || $0 == 13 }
            && ![32, 9].contains(bytes.first) && ![32, 9].contains(bytes.last)
    }

    /// Whether a line goes on in the next one: its last byte is a backslash that is not itself behind one.
    static func continues(_ line: some BidirectionalCollection<UInt8>) -> Bool {
        !line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count.isMultiple(of: 2)
    }
}

extension UnitFile: CustomStringConvertible {
    /// The file's text: sections and assignments in their order, an empty line between sections.
    public var description: String {
        sections.map { section in
            "[\(section.name)]\n" + section.assignments.map(Self.line).joined()
        }.joined(separator: "\n")
    }

    private static func line(_ assignment: Assignment) -> String {
        // A space behind a backslash at the end keeps it from joining the next line, and is not read as a part of it.
        let end = continues(assignment.value.utf8) ? " \n" : "\n"
        return "\(assignment.key)=\(assignment.value)\(end)"
    }
}
