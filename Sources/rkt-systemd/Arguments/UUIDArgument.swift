internal import Diagnostics

/// Pods on the command line: a UUID, or the beginning of one.
enum UUIDArgument {
    /// Checks the beginning of a UUID.
    ///
    /// - Parameter text: What the user typed.
    /// - Returns: It in lower case.
    /// - Throws: ``RktError`` with `invalidArgument` for what no UUID can begin with.
    static func prefix(_ text: String) throws -> String {
        guard !text.isEmpty else { throw RktError(.invalidArgument, "UUID cannot be empty") }
        let lowered = text.lowercased()
        let dashes: Set<Int> = [8, 13, 18, 23]
        let isPrefix =
            lowered.utf8.count <= 36
            && lowered.utf8.enumerated().allSatisfy { index, byte in
                dashes.contains(index)
                    ? byte == UInt8(ascii: "-") : 0x30...0x39 ~= byte || 0x61...0x66 ~= byte
            }
        guard isPrefix else {
            throw RktError(
                .invalidArgument,
                "\(FlagValue.quoted(text)) is not a pod's UUID or the beginning of one (see `rkt list --full`)"
            )
        }
        return lowered
    }

    /// Finds the pod that the beginning of a UUID stands for.
    ///
    /// - Parameters:
    ///   - text: What the user typed.
    ///   - uuids: The pods there are.
    /// - Returns: The one UUID that begins so.
    /// - Throws: ``RktError`` with `notFound`, or with `invalidArgument` when there are several.
    static func resolve(_ text: String, among uuids: [String]) throws -> String {
        let wanted = try prefix(text)
        let matches = uuids.filter { $0.hasPrefix(wanted) }
        guard let match = matches.first else {
            throw RktError(.notFound, "no matches found for \(FlagValue.quoted(wanted))")
        }
        guard matches.count == 1 else {
            throw RktError(.invalidArgument, "ambiguous uuid, \(matches.count) matches")
        }
        return match
    }
}
