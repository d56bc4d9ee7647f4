public import Diagnostics
internal import CLinux
internal import Glibc
internal import SystemPackage

/// Calls a function of the operating system, again when a signal interrupted it.
///
/// - Parameters:
///   - context: What the call is for, naming the object: the start of the error's message.
///   - file: The source file; leave the default.
///   - line: The source line; leave the default.
///   - call: Returns -1 and sets `errno` on failure.
/// - Returns: What the call returned, never negative.
/// - Throws: ``RktError`` with the code for the errno.
@discardableResult
public func system<Result: FixedWidthInteger & SignedInteger>(
    _ context: @autoclosure () -> String,
    file: String = #fileID,
    line: UInt = #line,
    _ call: () -> Result
) throws -> Result {
    while true {
        let result = call()
        if result >= 0 { return result }
        let number = rkt_errno()
        if number == EINTR { continue }
        throw RktError(errno: number, context(), file: file, line: line)
    }
}

extension RktError {
    /// The error for an errno.
    ///
    /// - Parameters:
    ///   - number: The errno.
    ///   - context: What failed, naming the object.
    ///   - file: The source file; leave the default.
    ///   - line: The source line; leave the default.
    public init(errno number: CInt, _ context: String, file: String = #fileID, line: UInt = #line) {
        let code: Code
        switch number {
        case ENOENT, ENOTDIR: code = .notFound
        case EEXIST, ENOTEMPTY: code = .alreadyExists
        case EACCES, EPERM, EROFS: code = .permissionDenied
        case ENOSPC, EDQUOT: code = .noSpace
        case EWOULDBLOCK, EBUSY, ETXTBSY: code = .busy
        case EINVAL, ENAMETOOLONG, EISDIR, ELOOP: code = .invalidArgument
        case ENOSYS, EOPNOTSUPP, ENODEV: code = .unsupported
        case ECONNREFUSED, ECONNRESET, EPIPE, ENOTCONN: code = .unavailable
        case ETIMEDOUT: code = .timeout
        case EFBIG, EMFILE, ENFILE, ENOMEM: code = .limitExceeded
        default: code = .io
        }
        self.init(code, context, cause: ErrnoCause(number: number), file: file, line: line)
    }

    /// The errno at the bottom of the chain, if the failure came from the operating system.
    public var errno: CInt? {
        var next: (any Error)? = self
        while let error = next {
            if let cause = error as? ErrnoCause { return cause.number }
            next = (error as? RktError)?.cause
        }
        return nil
    }
}

/// An errno as the innermost cause of an ``RktError``.
public struct ErrnoCause: Error, CustomStringConvertible {
    /// The errno.
    public let number: CInt

    /// The C library's words for it.
    public var description: String { Errno(rawValue: number).description }
}
