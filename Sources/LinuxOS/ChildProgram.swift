internal import Diagnostics

/// A program that is run to its end. What it prints goes to standard error: results are the caller's.
public struct ChildProgram: Sendable {
    private let path: String
    private let arguments: [String]

    /// Names a program.
    ///
    /// - Parameters:
    ///   - path: Its absolute path.
    ///   - arguments: Its arguments, without its own name.
    public init(_ path: String, _ arguments: [String]) {
        self.path = path
        self.arguments = arguments
    }

    /// Runs it and waits for it.
    ///
    /// - Returns: Its exit status; 128 and the number of the signal that killed it.
    /// - Throws: ``RktError`` when it cannot be started.
    public func run() async throws -> Int32 {
        try await OwnThread.run { _ in
            var start = ChildProcess.Start(path, arguments)
            start.descriptors = [1: 2, 2: 2]
            switch try ChildProcess(start).reap() {
            case .exited(let status): return status
            case .killed(let signal): return 128 + signal
            }
        }
    }
}
