internal import Diagnostics
public import LinuxOS
internal import Glibc

/// A directory of a test's own, removed with the last reference.
public final class TemporaryDirectory: Sendable {
    /// The directory's path; short, since the paths of sockets are limited to 107 bytes.
    public let path: String

    /// Makes a directory.
    ///
    /// - Throws: `RktError` when it cannot be made.
    public init() throws {
        var template = Array("/tmp/rkt-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw RktError(.io, "cannot make a temporary directory") }
        path = template.withUnsafeBufferPointer { $0.baseAddress.map { String(cString: $0) } ?? "" }
    }

    /// The path of an entry.
    ///
    /// - Parameter name: The entry's name.
    /// - Returns: The path.
    public func path(of name: String) -> String { "\(path)/\(name)" }

    /// The directory, opened.
    ///
    /// - Returns: The directory.
    /// - Throws: `RktError` when it is gone.
    public func open() throws -> Directory { try Directory(path: path) }

    deinit {
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        try? Directory(path: "/tmp").removeTree(name)
    }
}
