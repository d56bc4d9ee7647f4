internal import Diagnostics
internal import Glibc

/// The arguments as the kernel gave them: Swift's own list silently repairs what is not UTF-8.
enum RawArguments {
    /// The arguments behind the program's name.
    static var all: [[UInt8]] {
        (1..<max(Int(CommandLine.argc), 1)).compactMap { index in
            CommandLine.unsafeArgv[index].map { argument in
                Array(UnsafeBufferPointer(start: argument, count: strlen(argument))).map { UInt8(bitPattern: $0) }
            }
        }
    }

    /// Refuses what could reach an app only changed.
    ///
    /// - Parameter arguments: The arguments behind the program's name.
    /// - Throws: ``RktError`` with `invalidArgument` naming the first that is not UTF-8.
    static func check(_ arguments: [[UInt8]]) throws {
        for (index, argument) in arguments.enumerated() where String(validating: argument, as: UTF8.self) == nil {
            throw RktError(
                .invalidArgument,
                "argument \(index + 1), \"\(TerminalText.sanitized(argument, keeping: []))\", is not UTF-8 text: "
                    + "manifests and OCI bundles can hold no other"
            )
        }
    }
}
