import CMusl

/// Exit statuses of this program, as rkt 1's stage1 had them.
enum ExitStatus {
    /// The pod or app could not be set up.
    static let setup: Int32 = 254
    /// There is no pod for the app to run in: systemd shall not try again (RestartPreventExitStatus=).
    static let podIsNotRunning: Int32 = 253
    /// The runtime could not execute the app (systemd's EXIT_EXEC).
    static let exec: Int32 = 203
}

/// What this program is at the moment; single-threaded, as the program is.
enum Role {
    /// Its name in messages.
    nonisolated(unsafe) static var name: StaticString = "pod-init"
    /// What is to be done before it ends by a failure, with that exit status.
    nonisolated(unsafe) static var beforeFailure: ((Int32) -> Void)?

    /// Ends the program by a failure that has been reported.
    static func end(_ status: Int32) -> Never {
        let cleanUp = beforeFailure
        // It may fail, too.
        beforeFailure = nil
        cleanUp?(status)
        _exit(status)
    }
}

// As the functions of `Files.swift`, these are not inlined.

/// Prints one line to standard error, which is the unit's journal.
@inline(never) func report(_ message: Text) {
    let line = Text(Role.name) + ": " + message + "\n"
    line.withCString { _ = write(2, $0, line.count) }
}

/// Ends the program with one line that says what failed and why (errno).
@inline(never) func fail(_ message: Text, status: Int32 = ExitStatus.setup) -> Never {
    let number = __errno_location().pointee
    if let words = strerror(number) {
        report(message + ": " + words)
    } else {
        report(message)
    }
    Role.end(status)
}

/// Ends the program with one line, for failures that are not the operating system's.
@inline(never) func refuse(_ message: Text, status: Int32 = ExitStatus.setup) -> Never {
    report(message)
    Role.end(status)
}

/// The result of a system call, or the end of the program.
@discardableResult
func check(_ result: Int32, _ what: @autoclosure () -> Text) -> Int32 {
    if result < 0 { fail(what()) }
    return result
}
