/// The one error type that crosses module borders: what went wrong, with which object, and why.
///
/// The message names the object and, where the user can do something, says what. Exit statuses and, later, gRPC
/// statuses are derived from ``code``, never from the text.
public struct RktError: Error, Sendable {
    /// What kind of failure this is; new kinds may be added.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        private enum Kind: String, Sendable {
            case invalidArgument, invalidData, notFound, alreadyExists, permissionDenied, wrongState, busy
            case digestMismatch, limitExceeded, unsupported, missingDependency, unavailable, timeout, noSpace
            case failed, cancelled, io
        }

        private let kind: Kind

        /// The caller's input is not acceptable.
        public static let invalidArgument = Self(kind: .invalidArgument)
        /// Stored or received data is malformed.
        public static let invalidData = Self(kind: .invalidData)
        /// The named object does not exist.
        public static let notFound = Self(kind: .notFound)
        /// The object to be made exists already.
        public static let alreadyExists = Self(kind: .alreadyExists)
        /// The caller may not do this.
        public static let permissionDenied = Self(kind: .permissionDenied)
        /// The object is in a state that does not allow the operation.
        public static let wrongState = Self(kind: .wrongState)
        /// Someone else holds the object.
        public static let busy = Self(kind: .busy)
        /// Content differs from the digest or size that was promised for it.
        public static let digestMismatch = Self(kind: .digestMismatch)
        /// Untrusted input went over a stated limit.
        public static let limitExceeded = Self(kind: .limitExceeded)
        /// The input is well-formed, but asks for something that is not supported.
        public static let unsupported = Self(kind: .unsupported)
        /// A program, service or kernel feature that is needed is missing.
        public static let missingDependency = Self(kind: .missingDependency)
        /// A service cannot be reached (any more).
        public static let unavailable = Self(kind: .unavailable)
        /// A deadline passed.
        public static let timeout = Self(kind: .timeout)
        /// The file system is full or a quota is reached.
        public static let noSpace = Self(kind: .noSpace)
        /// An operation was carried out and failed (a systemd job, a child process).
        public static let failed = Self(kind: .failed)
        /// The operation was cancelled.
        public static let cancelled = Self(kind: .cancelled)
        /// Any other error of the operating system.
        public static let io = Self(kind: .io)

        /// The code's name, for logs.
        public var description: String { kind.rawValue }
    }

    /// The kind of failure.
    public let code: Code
    /// What failed, naming the object, without a trailing full stop.
    public let message: String
    /// The error underneath, if any.
    public let cause: (any Error)?
    /// Where the error was made, for `--debug`.
    public let location: SourceLocation

    /// A place in the source.
    public struct SourceLocation: Sendable, CustomStringConvertible {
        let file: String
        let line: UInt

        /// `Module/File.swift:line`.
        public var description: String { "\(file):\(line)" }
    }

    /// Makes an error.
    ///
    /// - Parameters:
    ///   - code: The kind of failure.
    ///   - message: What failed, naming the object.
    ///   - cause: The error underneath.
    ///   - file: The source file; leave the default.
    ///   - line: The source line; leave the default.
    public init(
        _ code: Code,
        _ message: String,
        cause: (any Error)? = nil,
        file: String = #fileID,
        line: UInt = #line
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        location = SourceLocation(file: file, line: line)
    }

    /// The same failure with more context around it; the code stays.
    ///
    /// - Parameters:
    ///   - context: What was being done, naming the object.
    ///   - file: The source file; leave the default.
    ///   - line: The source line; leave the default.
    /// - Returns: An error whose cause is this one.
    public func adding(_ context: String, file: String = #fileID, line: UInt = #line) -> RktError {
        RktError(code, context, cause: self, file: file, line: line)
    }
}

extension RktError: CustomStringConvertible {
    /// The chain on one line, outermost first: `message: cause`.
    public var description: String {
        guard let cause else { return message }
        return "\(message): \(cause)"
    }

    /// The chain as a tree, one cause a line, two spaces deeper each, as `--debug` shows it.
    public var tree: String {
        var lines = ["\(message) [\(code), \(location)]"]
        var next = cause
        var indent = "  "
        while let error = next {
            if let error = error as? RktError {
                lines.append("\(indent)└─\(error.message) [\(error.code), \(error.location)]")
                next = error.cause
            } else {
                lines.append("\(indent)└─\(error)")
                next = nil
            }
            indent += "  "
        }
        return lines.joined(separator: "\n")
    }
}

/// Runs an operation and adds context to the error it throws, keeping the error's code.
///
/// - Parameters:
///   - context: What was being done, naming the object; only built when the operation fails.
///   - file: The source file; leave the default.
///   - line: The source line; leave the default.
///   - operation: The operation.
/// - Returns: What the operation returns.
/// - Throws: ``RktError`` around what the operation threw.
@inlinable
public func withContext<R>(
    _ context: @autoclosure () -> String,
    file: String = #fileID,
    line: UInt = #line,
    _ operation: () throws -> R
) throws -> R {
    do {
        return try operation()
    } catch let error as RktError {
        throw error.adding(context(), file: file, line: line)
    } catch {
        throw RktError(.failed, context(), cause: error, file: file, line: line)
    }
}
