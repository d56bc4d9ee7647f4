internal import Diagnostics

/// What is written as a text that not every text is: it is checked when it is made, also from a document.
public protocol CheckedText: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// Takes a text.
    ///
    /// - Parameter text: The text.
    /// - Throws: `RktError` for one that it is not.
    init(_ text: String) throws
}

extension CheckedText {
    /// Decodes it from a string.
    ///
    /// - Parameter decoder: The decoder.
    /// - Throws: `DecodingError`, with the check's message and the place, for a text that it is not.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        do {
            self = try Self(text)
        } catch let error as RktError {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: error.message)
        }
    }

    /// Encodes it as a string.
    ///
    /// - Parameter encoder: The encoder.
    /// - Throws: What the encoder throws.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// Orders by the text.
    public static func < (left: Self, right: Self) -> Bool { left.description < right.description }
}
