internal import Diagnostics
internal import Glibc

/// The gate before commands that only root can carry out.
enum Superuser {
    /// Refuses anyone else.
    static func require() throws {
        guard geteuid() == 0 else { throw RktError(.permissionDenied, "cannot run as unprivileged user") }
    }
}
