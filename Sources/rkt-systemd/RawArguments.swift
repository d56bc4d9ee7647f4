internal import Glibc

/// The arguments as the kernel gave them: Swift's own list silently repairs what is not UTF-8.
enum RawArguments {
    /// Whether all arguments are UTF-8.
    static var areText: Bool {
        for index in 0..<Int(CommandLine.argc) {
            guard let argument = CommandLine.unsafeArgv[index] else { continue }
            if String(validatingCString: argument) == nil { return false }
        }
        return true
    }
}
