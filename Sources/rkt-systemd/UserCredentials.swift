internal import Glibc
internal import Pods

/// The credentials of whoever runs the command.
enum UserCredentials {
    /// Where they are: rkt's own configuration, then what `podman login` and `docker login` leave.
    ///
    /// - Parameter directories: The configuration directories.
    /// - Returns: The source, which reads them when a server asks.
    static func source(directories: [String]) -> CredentialSettings {
        CredentialSettings(directories: directories) { name in getenv(name).map { String(cString: $0) } }
    }
}
