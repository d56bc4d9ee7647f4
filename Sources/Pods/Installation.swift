internal import Diagnostics
internal import Glibc

/// Where this installation's own programs are: beside the running one, whatever the prefix.
public struct Installation: Sendable {
    /// The version of this program.
    public static let version = "2.0.0-dev"
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
        guard let found = candidates.first(where: Self.isProgram) else {
            throw RktError(.missingDependency, "\(candidates[0]) is missing: install rkt with `make install`")
        }
        podInit = found
    }

    /// The directory of the stage1 images that came with this installation.
    public var stage1Images: String {
        podInit.split(separator: "/").dropLast().reduce("") { "\($0)/\($1)" } + "/stage1-images"
    }

    /// A file that is below a directory, wherever links lead.
    ///
    /// - Returns: Its path without links, which is what must be opened; nil when it is not there.
    static func file(_ path: String, below directory: String) -> String? {
        guard let file = real(path), let directory = real(directory) else { return nil }
        return file.hasPrefix(directory + "/") ? file : nil
    }

    private static func real(_ path: String) -> String? {
        guard let found = realpath(path, nil) else { return nil }
        defer { free(found) }
        return String(cString: found)
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
    /// - Throws: ``RktError`` with `missingDependency` when it is not installed, `invalidArgument` for what can name
    ///   no program.
    static func runtime(_ name: String) throws -> String {
        let isPath = name.utf8.contains(UInt8(ascii: "/"))
        let isAbsolute = name.utf8.first == UInt8(ascii: "/")
        guard !name.isEmpty, !name.utf8.contains(0), !isPath || isAbsolute else {
            throw RktError(
                .invalidArgument,
                "\(name.debugDescription) names no OCI runtime: give a program's name, such as crun, or its absolute path"
            )
        }
        let usual = ["/usr/local/bin/", "/usr/bin/", "/usr/local/sbin/", "/usr/sbin/"]
        for directory in isPath ? [""] : usual where isProgram(directory + name) { return directory + name }
        guard isPath else {
            throw RktError(.missingDependency, "the OCI runtime \(name) is not installed: install the package \(name)")
        }
        guard access(name, F_OK) == 0 else {
            throw RktError(
                .missingDependency,
                "the OCI runtime \(name) is not installed: install it, or give the path of another"
            )
        }
        throw RktError(
            .invalidArgument,
            "the OCI runtime \(name) is no program that can be run: give the path of an executable file"
        )
    }

    /// To access(2) a directory is executable too.
    private static func isProgram(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }
}
