internal import CLinux
internal import Synchronization

/// A pipe, close-on-exec.
public final class Pipe: Sendable {
    /// The end to read from.
    public let reader: OwnedFD
    private let writer: Mutex<OwnedFD?>

    /// Makes one.
    ///
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public init() throws {
        var ends: [CInt] = [-1, -1]
        try system("making a pipe") { rkt_pipe(&ends) }
        reader = OwnedFD(taking: ends[0])
        writer = Mutex(OwnedFD(taking: ends[1]))
    }

    /// The end to write to, which is the caller's from now on and can be taken once; readers see the pipe's end when
    /// all copies are closed.
    ///
    /// - Returns: The descriptor.
    public func takeWriter() -> OwnedFD {
        guard let taken = writer.withLock({ $0.take() }) else {
            preconditionFailure("the pipe's writer was taken before")
        }
        return taken
    }
}
