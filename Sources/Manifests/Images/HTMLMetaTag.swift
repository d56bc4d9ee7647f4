/// A `<meta name=… content=…>` of an HTML page.
public struct HTMLMetaTag: Sendable, Hashable {
    /// The name, in lower case.
    public let name: String
    /// The content, its character references resolved.
    public let content: String

    /// Makes a tag.
    ///
    /// - Parameters:
    ///   - name: The name, in lower case.
    ///   - content: The content.
    public init(name: String, content: String) {
        self.name = name
        self.content = content
    }

    /// The most bytes of a page.
    public static let pageLimit = 1 << 20
    /// The most tags that are taken from a page.
    package static let countLimit = 256
    /// The most bytes of a tag's content.
    static let contentLimit = 4096

    /// The tags in the head of a page.
    ///
    /// A page is what anybody may have written, and many are no correct HTML; they are read as browsers do (HTML, 13.2.5):
    /// what is in comments, scripts and other raw text is no tag, and what users write into a page's body is not looked at.
    ///
    /// - Parameter page: The page; what is behind ``pageLimit`` bytes is not looked at.
    /// - Returns: The tags that have a name and a content, in their order.
    public static func tags(in page: [UInt8]) -> [HTMLMetaTag] {
        var scanner = HTMLScanner(page.prefix(pageLimit))
        var tags: [HTMLMetaTag] = []
        while tags.count < countLimit, let tag = scanner.next() {
            if tag.isEnd ? tag.name == "head" : tag.name == "body" { break }
            guard tag.name == "meta", !tag.isEnd, let name = tag.attributes["name"],
                let content = tag.attributes["content"],
                content.utf8.count <= contentLimit
            else { continue }
            tags.append(HTMLMetaTag(name: name.lowercased(), content: content))
        }
        return tags
    }
}

/// Finds the tags of a page; each byte is looked at a few times at most, whatever the page holds.
private struct HTMLScanner {
    struct Tag {
        /// In lower case.
        var name: String
        /// Whether it ends an element.
        var isEnd: Bool
        /// The names in lower case.
        var attributes: [String: String] = [:]
    }

    private let bytes: ArraySlice<UInt8>
    private var place: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        place = bytes.startIndex
    }

    /// Elements whose content is no markup, or none that counts.
    private static let rawText: Set<String> = [
        "script", "style", "title", "textarea", "template", "xmp", "iframe", "noembed", "noframes", "plaintext",
    ]
    /// The most attributes of a tag.
    private static let attributeLimit = 64

    private var current: UInt8? { place < bytes.endIndex ? bytes[place] : nil }

    private func byte(at offset: Int) -> UInt8? {
        place + offset < bytes.endIndex ? bytes[place + offset] : nil
    }

    /// The next tag; nil at the end.
    mutating func next() -> Tag? {
        while let open = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
            place = open + 1
            guard let first = current else { return nil }
            switch first {
            case UInt8(ascii: "!"), UInt8(ascii: "?"): skipComment()
            case UInt8(ascii: "/"):
                place += 1
                guard current?.isLetter == true else {
                    skip(past: UInt8(ascii: ">"))
                    continue
                }
                return tag(isEnd: true)
            case _ where first.isLetter:
                guard let tag = tag(isEnd: false) else { return nil }
                if Self.rawText.contains(tag.name) { skipRawText(of: tag.name) }
                return tag
            default: continue
            }
        }
        place = bytes.endIndex
        return nil
    }

    private mutating func skip(past end: UInt8) {
        place = bytes[place...].firstIndex(of: end).map { $0 + 1 } ?? bytes.endIndex
    }

    /// `<!-- … -->`, or what only looks like one and goes to the next `>`.
    private mutating func skipComment() {
        guard byte(at: 1) == UInt8(ascii: "-"), byte(at: 2) == UInt8(ascii: "-"), current == UInt8(ascii: "!") else {
            return skip(past: UInt8(ascii: ">"))
        }
        // The dashes of the beginning may be those of the end: <!--> and <!---> are whole.
        let start = place + 1
        place += 3
        while let end = bytes[place...].firstIndex(of: UInt8(ascii: ">")) {
            place = end + 1
            let inner = bytes[start..<end]
            if inner.hasSuffix("--") || inner.count > 4 && inner.hasSuffix("--!") { return }
        }
        place = bytes.endIndex
    }

    /// To the end tag of an element, which is left to be read.
    private mutating func skipRawText(of name: String) {
        let end = Array("</\(name)".utf8)
        while let open = bytes[place...].firstIndex(of: UInt8(ascii: "<")) {
            place = open
            let found = bytes[open...].prefix(end.count)
            let isSame = found.count == end.count && zip(found, end).allSatisfy { $0.lowered == $1 }
            if isSame,
                byte(at: end.count).map({ $0.isBlank || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ">") }) == true
            {
                return
            }
            place = open + 1
        }
        place = bytes.endIndex
    }

    /// A tag whose name is next; nil when the page ends in it.
    private mutating func tag(isEnd: Bool) -> Tag? {
        var tag = Tag(name: text { $0.isBlank || $0 == UInt8(ascii: "/") || $0 == UInt8(ascii: ">") }, isEnd: isEnd)
        tag.name = tag.name.lowercased()
        while true {
            skip { $0.isBlank || $0 == UInt8(ascii: "/") }
            guard let next = current else { return nil }
            if next == UInt8(ascii: ">") {
                place += 1
                return tag
            }
            // An equals sign in front is part of a name.
            let start = place
            place += 1
            skip { !($0.isBlank || [UInt8(ascii: "/"), UInt8(ascii: ">"), UInt8(ascii: "=")].contains($0)) }
            let name = String(decoding: bytes[start..<place], as: UTF8.self).lowercased()
            guard let value = value() else { return nil }
            // The first of a name counts.
            if tag.attributes[name] == nil, tag.attributes.count < Self.attributeLimit { tag.attributes[name] = value }
        }
    }

    /// What is behind an attribute's name: empty when there is no value, nil when the page ends in it.
    private mutating func value() -> String? {
        skip(\.isBlank)
        guard current == UInt8(ascii: "=") else { return "" }
        place += 1
        skip(\.isBlank)
        guard let first = current else { return nil }
        guard first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") else {
            return HTMLText.resolved(text { $0.isBlank || $0 == UInt8(ascii: ">") })
        }
        place += 1
        let value = text { $0 == first }
        guard current != nil else { return nil }
        place += 1
        return HTMLText.resolved(value)
    }

    private mutating func skip(_ isSkipped: (UInt8) -> Bool) {
        while let current, isSkipped(current) { place += 1 }
    }

    private mutating func text(until isEnd: (UInt8) -> Bool) -> String {
        let start = place
        skip { !isEnd($0) }
        return String(decoding: bytes[start..<place], as: UTF8.self)
    }
}

/// Texts of HTML.
private enum HTMLText {
    private static let named: [Substring: String] = [
        "amp": "&", "lt": "<", "gt": ">", "quot": "\"", "apos": "'", "nbsp": "\u{a0}",
    ]
    /// The most bytes of a reference that is looked at.
    private static let referenceLimit = 10

    /// A text with the usual character references resolved; others stay as they are.
    static func resolved(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let ampersand = rest.utf8.firstIndex(of: UInt8(ascii: "&")) {
            result += rest[..<ampersand]
            rest = rest[rest.utf8.index(after: ampersand)...]
            let reference = rest.utf8.prefix(referenceLimit).prefix { $0 != UInt8(ascii: ";") }
            let end = reference.endIndex
            if end < rest.endIndex, rest.utf8[end] == UInt8(ascii: ";"),
                let character = character(rest[rest.startIndex..<end])
            {
                result += character
                rest = rest[rest.utf8.index(after: end)...]
            } else {
                result += "&"
            }
        }
        return result + rest
    }

    private static func character(_ reference: Substring) -> String? {
        if let known = named[reference] { return known }
        guard reference.hasPrefix("#") else { return nil }
        let digits = reference.dropFirst()
        let isHex = digits.hasPrefix("x") || digits.hasPrefix("X")
        let number = isHex ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
        guard let number, number > 0, let scalar = Unicode.Scalar(number) else { return nil }
        return String(Character(scalar))
    }
}

extension UInt8 {
    fileprivate var isBlank: Bool { [0x09, 0x0A, 0x0C, 0x0D, 0x20].contains(self) }
    fileprivate var lowered: UInt8 { (0x41...0x5A).contains(self) ? self + 0x20 : self }
    fileprivate var isLetter: Bool { (0x61...0x7A).contains(lowered) }
}

extension ArraySlice<UInt8> {
    fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
