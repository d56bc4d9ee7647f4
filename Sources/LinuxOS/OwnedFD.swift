internal import Diagnostics
internal import CLinux
internal import Glibc

/// A file descriptor with one owner, closed when the owner goes; close-on-exec from birth wherever this module opens.
public struct OwnedFD: ~Copyable, Sendable {
    /// The descriptor's number; valid as long as the owner lives.
    public let rawValue: CInt

    /// Takes over a descriptor.
    ///
    /// - Parameter rawValue: An open descriptor that nobody else closes.
    public init(taking rawValue: CInt) {
        self.rawValue = rawValue
    }

    deinit {
        close(rawValue)
    }

    /// Gives the descriptor away.
    ///
    /// - Returns: The descriptor; the caller closes it.
    public consuming func release() -> CInt {
        let descriptor = rawValue
        discard self
        return descriptor
    }

    /// A second descriptor for the same open file, close-on-exec.
    ///
    /// - Returns: The new descriptor.
    /// - Throws: ``RktError`` when the process has no descriptor left.
    public borrowing func duplicate() throws -> OwnedFD {
        let original = rawValue
        return OwnedFD(taking: try system("duplicating a file descriptor") { fcntl(original, F_DUPFD_CLOEXEC, 3) })
    }

    /// Whether a child keeps this descriptor when it becomes another program.
    ///
    /// - Parameter inherited: True to keep it open across exec.
    /// - Throws: ``RktError`` when the descriptor is not open.
    public borrowing func setInherited(_ inherited: Bool) throws {
        let descriptor = rawValue
        try system("changing a file descriptor's flags") { rkt_set_cloexec(descriptor, !inherited) }
    }

    /// Reads all there is.
    ///
    /// - Parameters:
    ///   - limit: The most bytes to accept.
    ///   - name: What the descriptor is, for errors.
    /// - Returns: The bytes.
    /// - Throws: ``RktError`` with `limitExceeded` for more than `limit` bytes.
    public borrowing func readAll(limit: Int, name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        let descriptor = rawValue
        while true {
            let chunk = min(max(bytes.capacity - bytes.count, 16_384), limit - bytes.count + 1)
            let before = bytes.count
            var count = 0
            bytes.reserveCapacity(before + chunk)
            let read = try [UInt8](unsafeUninitializedCapacity: chunk) { buffer, initialized in
                count = try system("reading \(name)") { Glibc.read(descriptor, buffer.baseAddress, chunk) }
                initialized = count
            }
            if count == 0 { return bytes }
            bytes += read
            if bytes.count > limit {
                throw RktError(.limitExceeded, "\(name) is larger than \(limit) bytes")
            }
        }
    }

    /// Writes all bytes.
    ///
    /// - Parameters:
    ///   - bytes: The bytes.
    ///   - name: What the descriptor is, for errors.
    /// - Throws: ``RktError`` when not all could be written.
    public borrowing func writeAll(_ bytes: some ContiguousBytesView, name: String) throws {
        let descriptor = rawValue
        try bytes.withBytes { buffer in
            var written = 0
            while written < buffer.count {
                written += try system("writing \(name)") {
                    Glibc.write(descriptor, buffer.baseAddress.map { $0 + written }, buffer.count - written)
                }
            }
        }
    }

    /// Waits until the file's content is on disk.
    ///
    /// - Parameter name: What the descriptor is, for errors.
    /// - Throws: ``RktError`` when the content did not reach the disk.
    public borrowing func synchronize(name: String) throws {
        let descriptor = rawValue
        try system("syncing \(name)") { fsync(descriptor) }
    }
}

/// A file descriptor with several owners, closed when the last of them goes.
public final class SharedFD: Sendable {
    /// The descriptor.
    public let descriptor: OwnedFD

    /// Takes over a descriptor.
    ///
    /// - Parameter descriptor: The descriptor.
    public init(_ descriptor: consuming OwnedFD) {
        self.descriptor = descriptor
    }
}

/// Something whose bytes lie in one piece of memory.
public protocol ContiguousBytesView {
    /// Calls `body` with the bytes.
    ///
    /// - Parameter body: Uses the bytes while it runs.
    /// - Returns: What `body` returns.
    /// - Throws: What `body` throws.
    func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R
}

extension [UInt8]: ContiguousBytesView {
    /// Calls `body` with the array's bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try withUnsafeBytes(body)
    }
}

extension String: ContiguousBytesView {
    /// Calls `body` with the string's UTF-8 bytes.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        var copy = self
        return try copy.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
    }
}

extension UnsafeRawBufferPointer: ContiguousBytesView {
    /// Calls `body` with the buffer itself.
    public func withBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
        try body(self)
    }
}
