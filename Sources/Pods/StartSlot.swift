internal import Glibc
internal import LinuxOS
internal import Synchronization

/// One of the places for pods that are being started.
///
/// systemd is one thread: it starts no more pods in a minute because more are asked for at once. But everyone who waits
/// for it takes a connection, and systemd takes two or three match rules on the bus for each, of which it has 512; on
/// 252 it loses the bus, and all who wait with it, when they run out.
final class StartSlot: Sendable {
    private let file: Mutex<OwnedFD?>

    private init(_ file: consuming OwnedFD) {
        self.file = Mutex(file)
    }

    /// Gives the place back. It is free too when the process has gone.
    func free() {
        file.withLock { $0 = nil }
    }

    /// How many pods are started at once.
    private static let count = 32
    /// How long one waits for a place; then it goes on without: starts that hang must not keep others.
    private static let patience: Duration = .seconds(20)

    /// Takes a place, when there is one.
    ///
    /// - Returns: The place; nil when there was none in time.
    static func take() async -> StartSlot? {
        let first = Int.random(in: 0..<count)
        for offset in 0..<count {
            guard let file = open((first + offset) % count) else { return nil }
            if (try? FileLock.tryLock(.exclusive, file, name: "a slot")) == true { return StartSlot(file) }
        }
        let (outcomes, outcome) = AsyncStream.makeStream(of: StartSlot?.self)
        Task {
            outcome.yield(
                try? await OwnThread.run { _ in
                    guard let file = open(first) else { return nil }
                    try FileLock.lock(.exclusive, file, name: "a slot")
                    return StartSlot(file)
                }
            )
        }
        let clock = Task {
            try await OwnThread.wait(until: .now + patience)
            outcome.yield(nil)
        }
        defer { clock.cancel() }
        for await slot in outcomes { return slot }
        return nil
    }

    private static func open(_ number: Int) -> OwnedFD? {
        let directory = try? Directory.ensure(path: "/run/rkt/starts", mode: 0o700)
        return try? directory?.open("\(number)", flags: Directory.lockFileFlags, mode: 0o600)
    }
}
