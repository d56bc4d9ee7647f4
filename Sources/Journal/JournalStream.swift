internal import Glibc
public import LinuxOS

/// Ways to write to the host's journal.
public enum JournalStream {
    /// A stream whose lines become entries of the journal.
    ///
    /// - Parameter identifier: What stands before them (`SYSLOG_IDENTIFIER=`).
    /// - Returns: The descriptor to write to; nil when no journald listens.
    public static func open(identifier: String) -> SharedFD? {
        guard let library = try? LibSystemd.shared() else { return nil }
        let descriptor = library.openStream(identifier, LOG_INFO, 0)
        return descriptor < 0 ? nil : SharedFD(OwnedFD(taking: descriptor))
    }
}
