import FoundationEssentials
import Testing

/// The files in `Tests/Fixtures/UnitGen`.
enum Fixtures {
    /// Set to write what comes out instead of comparing it: then look at the difference before committing it.
    static let isRecording = ProcessInfo.processInfo.environment["RKT_RECORD_FIXTURES"] != nil

    static var directory: String {
        let parts = "\(#filePath)".split(separator: "/").dropLast(2)
        return "/" + parts.joined(separator: "/") + "/Fixtures/UnitGen"
    }

    /// Compares content with a file's.
    static func expect(_ content: String, isIn name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let path = "\(directory)/\(name)"
        if isRecording { try Data(content.utf8).write(to: URL(filePath: path)) }
        let recorded = try Data(contentsOf: URL(filePath: path))
        let isSame = content.utf8.elementsEqual(recorded)
        let difference = isSame ? "" : difference(of: content, from: String(decoding: recorded, as: UTF8.self))
        #expect(isSame, "\(name) has changed:\n\(difference)", sourceLocation: sourceLocation)
    }

    /// The lines that differ, as `diff` marks them.
    private static func difference(of content: String, from recorded: String) -> String {
        func lines(_ text: String) -> [Substring] { text.split(separator: "\n", omittingEmptySubsequences: false) }
        return lines(content).difference(from: lines(recorded)).map { change in
            switch change {
            case .remove(_, let line, _): "- \(line)"
            case .insert(_, let line, _): "+ \(line)"
            }
        }
        .joined(separator: "\n")
    }
}
