internal import Diagnostics
internal import Glibc

/// Where this installation's own programs are: beside the running one, whatever the prefix.
public struct Installation: Sendable {
    /// The pod's init and launchers.
    public let podInit: String
    /// The command itself.
    public let command: String

    /// Finds the installation of the running program: `PREFIX/bin/rkt` or `PREFIX/lib/rkt/…`.
    ///
    /// - Throws: ``RktError`` with `missingDependency` when pod-init is not there.
    public init() throws {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let length = readlink("/proc/self/exe", &buffer, buffer.count - 1)
        guard length > 0 else {
            throw RktError(.missingDependency, "cannot tell where rkt is installed: is /proc mounted?")
        }
        let path = String(decoding: buffer[0..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        command = path
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        let candidates = ["/\(directory)/../lib/rkt/pod-init", "/\(directory)/pod-init"].map(Self.normalized)
        guard let found = candidates.first(where: { access($0, X_OK) == 0 }) else {
            throw RktError(.missingDependency, "\(candidates[0]) is missing: install rkt with `make install`")
        }
        podInit = found
    }

    private static func normalized(_ path: String) -> String {
        var components: [Substring] = []
        for component in path.split(separator: "/") {
            if component == ".." { _ = components.popLast() } else { components.append(component) }
        }
        return "/" + components.joined(separator: "/")
    }

    /// The OCI runtime to use, as an absolute path.
    ///
    /// - Parameter name: A program's name or absolute path.
    /// - Returns: Its path.
    /// - Throws: ``RktError`` with `missingDependency` when it is not installed.
    static func runtime(_ name: String) throws -> String {
        let usual = ["/usr/local/bin/", "/usr/bin/", "/usr/local/sbin/", "/usr/sbin/"]
        let directories = name.hasPrefix("/") ? [""] : usual
        for directory in directories where access(directory + name, X_OK) == 0 { return directory + name }
        throw RktError(.missingDependency, "the OCI runtime \(name) is not installed: install the package \(name)")
    }
}
