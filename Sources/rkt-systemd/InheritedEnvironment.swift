internal import Diagnostics
internal import LinuxOS

/// `--inherit-env`: the caller's environment as the kernel gave it. What the standard library makes of it is repaired
/// where it is not UTF-8, without a word.
enum InheritedEnvironment {
    /// More than the kernel lets a program's environment have.
    private static let sizeLimit = 16 << 20

    /// What apps get where they have none of that name.
    ///
    /// - Returns: Names and values, sorted by name.
    /// - Throws: ``RktError`` with `invalidArgument` naming a variable that no app could get as it is.
    static func read() throws -> [(String, String)] {
        try withContext("reading the caller's environment") {
            try parse(try Directory(path: "/proc/self").read("environ", limit: sizeLimit))
        }
    }

    /// Reads the form that the kernel shows: `NAME=VALUE`, each with a NUL behind it.
    ///
    /// - Parameter bytes: The environment.
    /// - Returns: Names and values, sorted by name; of a name that is there twice the first, which getenv(3) sees too.
    /// - Throws: ``RktError`` as ``read()``.
    static func parse(_ bytes: [UInt8]) throws -> [(String, String)] {
        var result: [(String, String)] = []
        var seen: Set<[UInt8]> = []
        for entry in bytes.split(separator: 0) {
            guard let equals = entry.firstIndex(of: UInt8(ascii: "=")), equals > entry.startIndex else { continue }
            let name = entry[..<equals]
            // systemd's words to its own service are not for apps.
            guard !name.elementsEqual("NOTIFY_SOCKET".utf8), seen.insert(Array(name)).inserted else { continue }
            guard let key = String(validating: name, as: UTF8.self),
                let value = String(validating: entry[(equals + 1)...], as: UTF8.self)
            else {
                let shown = TerminalText.sanitized(name, keeping: [])
                throw RktError(
                    .invalidArgument,
                    "--inherit-env: the environment variable \"\(shown)\" is not UTF-8 text: a pod's environment can "
                        + "hold no other, so unset it"
                )
            }
            result.append((key, value))
        }
        return result.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
    }
}
