internal import Diagnostics

/// JSON output as rkt writes it: keys in the order in which they are declared (of dictionaries: sorted), and text
/// escaped as Go does it, so that it can stand in HTML and JavaScript too.
enum JSONText {
    /// How the text is laid out.
    enum Layout: Sendable {
        /// Without any space.
        case compact
        /// One value a line, indented by TABs.
        case pretty
    }

    /// The JSON text of a value, without a line feed at its end.
    ///
    /// - Parameters:
    ///   - value: The value; a property that is nil is left out by the code that Swift makes for `Encodable`.
    ///   - layout: How to lay it out.
    /// - Returns: The text.
    /// - Throws: ``RktError`` with `invalidData` for a number that JSON has no form for.
    static func encode(_ value: some Encodable, _ layout: Layout = .compact) throws -> String {
        let node = JSONNode()
        try OrderedEncoder(node: node, codingPath: []).encodeValue(value)
        var text = ""
        node.write(to: &text, layout, depth: 0)
        return text
    }

    /// A string as JSON, in quotes.
    ///
    /// - Parameter string: The string.
    /// - Returns: Its JSON text.
    static func quoted(_ string: String) -> String {
        var result = "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "<", ">", "&", "\u{2028}", "\u{2029}", "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// A JSON value in the making.
final class JSONNode {
    /// What kind of value it is.
    enum Kind {
        /// Nothing was written yet: what stays so is an object without members, as a type without properties is.
        case empty
        /// The text of a number, string, boolean or null.
        case scalar(String)
        /// It has elements.
        case array
        /// It has members.
        case object
    }

    /// The kind of value.
    var kind = Kind.empty
    private var elements: [JSONNode] = []
    private var members: [(key: String, value: JSONNode)] = []
    private var places: [String: Int] = [:]

    /// Whether nothing was written yet.
    var isEmpty: Bool {
        if case .empty = kind { true } else { false }
    }

    /// Adds an element.
    func appendElement() -> JSONNode {
        let node = JSONNode()
        elements.append(node)
        return node
    }

    /// Adds a member, or gives the one of that name.
    func member(_ key: String) -> JSONNode {
        if let place = places[key] { return members[place].value }
        let node = JSONNode()
        places[key] = members.count
        members.append((key, node))
        return node
    }

    /// Sorts the members by their names' bytes; none may be added afterwards.
    func sortMembers() {
        members.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
    }

    /// Writes the value's text.
    func write(to text: inout String, _ layout: JSONText.Layout, depth: Int) {
        switch kind {
        case .scalar(let scalar): text += scalar
        case .empty: text += "{}"
        case .array:
            Self.write("[", elements, "]", to: &text, layout, depth) { element, text in
                element.write(to: &text, layout, depth: depth + 1)
            }
        case .object:
            Self.write("{", members, "}", to: &text, layout, depth) { member, text in
                text += JSONText.quoted(member.key) + (layout == .pretty ? ": " : ":")
                member.value.write(to: &text, layout, depth: depth + 1)
            }
        }
    }

    private static func write<Item>(
        _ open: String,
        _ items: [Item],
        _ close: String,
        to text: inout String,
        _ layout: JSONText.Layout,
        _ depth: Int,
        _ body: (Item, inout String) -> Void
    ) {
        text += open
        for (index, item) in items.enumerated() {
            if index > 0 { text += "," }
            if layout == .pretty { text += "\n" + String(repeating: "\t", count: depth + 1) }
            body(item, &text)
        }
        if layout == .pretty, !items.isEmpty { text += "\n" + String(repeating: "\t", count: depth) }
        text += close
    }
}
