import CMusl

/// Kills an app whose launcher dies between the hand-over and the app's start. systemd then watches the app and not the
/// launcher any more: it would take for running what waits for ever to be started.
struct StartGuard {
    private let pipe: Int32
    private let guardian: Int32

    /// Forks the guard, a process that lives as long as the launcher.
    ///
    /// - Parameter main: The app's process, which waits to be started.
    init(of main: Int32) {
        let process = check(process_descriptor(main), Text("holding the app's process"))
        let ends = makePipe()
        guardian = check(fork(), Text("forking"))
        if guardian == 0 {
            _ = close(ends.writer)
            var byte: UInt8 = 0
            if read(ends.reader, &byte, 1) != 1 { _ = signal_process(process, SIGKILL) }
            _exit(0)
        }
        _ = close(ends.reader)
        _ = close(process)
        pipe = ends.writer
    }

    /// Ends the guard: the app has been started. Left behind, it would be one more process for systemd to see to.
    func dismiss() {
        _ = write(pipe, "s", 1)
        while waitpid(guardian, nil, 0) < 0, __errno_location().pointee == EINTR {}
    }
}
