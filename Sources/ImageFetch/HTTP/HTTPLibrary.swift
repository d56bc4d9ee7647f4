internal import CLinux
internal import LinuxOS

/// libcurl, which is loaded when the first request is made.
public enum HTTPLibrary {
    /// Begins to load it, for who is about to make a request and has other things to do before.
    public static func loadAhead() {
        // Without a thread for it, it is loaded in time.
        try? OwnThread.start { rkt_transfers_preload() }
    }
}
