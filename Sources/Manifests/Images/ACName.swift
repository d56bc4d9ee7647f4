internal import Diagnostics

/// A name of an app, volume, port or mount point in appc manifests: lower-case letters and digits in runs joined by
/// single dashes.
public struct ACName: CheckedText {
    /// The name's text.
    public let description: String

    /// Takes a name.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``RktError`` with `invalidArgument` when it is empty, longer than 512 bytes, or holds anything else.
    public init(_ text: String) throws {
        guard isJoinedRuns(text, separators: [UInt8(ascii: "-")]) else {
            throw RktError(
                .invalidArgument,
                "\(text.debugDescription) is not a valid name: use lower-case letters and digits, joined by single dashes"
            )
        }
        description = text
    }

    /// The nearest valid name: other characters become dashes, runs of dashes become one.
    ///
    /// - Parameter text: Any text.
    /// - Throws: ``RktError`` with `invalidArgument` when nothing is left of it.
    public init(sanitizing text: String) throws {
        let kept = text.utf8.map { byte -> UInt8 in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte + 32
            case _ where isNameByte(byte): byte
            default: UInt8(ascii: "-")
            }
        }
        let runs = kept.split(separator: UInt8(ascii: "-")).map { String(decoding: $0, as: UTF8.self) }
        try self.init(String(runs.joined(separator: "-").prefix(512)))
    }
}

/// A name of an appc image or label: as ``ACName``, also joined by `.`, `_`, `~` and `/`.
public struct ACIdentifier: CheckedText {
    /// The identifier's text.
    public let description: String

    /// Takes an identifier.
    ///
    /// - Parameter text: The text.
    /// - Throws: ``RktError`` with `invalidArgument` when it is empty, longer than 512 bytes, or holds anything else.
    public init(_ text: String) throws {
        guard isJoinedRuns(text, separators: [UInt8](("-._~/").utf8)) else {
            throw RktError(
                .invalidArgument,
                "\(text.debugDescription) is not a valid identifier: use lower-case letters and digits, joined by "
                    + "single '-', '.', '_', '~' or '/'"
            )
        }
        description = text
    }

    /// The nearest valid identifier: other characters become dashes, joints at the ends and doubled ones go.
    ///
    /// - Parameter text: Any text.
    /// - Throws: ``RktError`` with `invalidArgument` when nothing is left of it.
    public init(sanitizing text: String) throws {
        var kept: [UInt8] = []
        var joint: UInt8?
        for byte in text.utf8.prefix(512) {
            let lowered = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 32 : byte
            if isNameByte(lowered) {
                if let joint, !kept.isEmpty { kept.append(joint) }
                joint = nil
                kept.append(lowered)
            } else if joint == nil {
                joint = [UInt8]("-._~/".utf8).contains(lowered) ? lowered : UInt8(ascii: "-")
            }
        }
        try self.init(String(decoding: kept, as: UTF8.self))
    }
}

private func isNameByte(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
}

private func isJoinedRuns(_ text: String, separators: [UInt8]) -> Bool {
    guard !text.isEmpty, text.utf8.count <= 512 else { return false }
    var afterJoint = true
    for byte in text.utf8 {
        if isNameByte(byte) {
            afterJoint = false
        } else if separators.contains(byte), !afterJoint {
            afterJoint = true
        } else {
            return false
        }
    }
    return !afterJoint
}
