internal import CLinux
internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

/// A program `docker-credential-NAME` that keeps credentials: asked with `get`, it reads the server's name and prints
/// `{"Username":…,"Secret":…}` (the protocol of docker-credential-helpers).
struct CredentialHelper: Sendable {
    /// `docker-credential-NAME`.
    let program: String
    private let path: String
    private let patience: Duration

    /// The most bytes that one prints.
    private static let sizeLimit = 256 << 10
    /// The name under which a helper gives a token instead of a password.
    private static let tokenUser = "<token>"
    /// What a helper says when it has none; it has no other way to say so.
    private static let nothing = "credentials not found in native keychain"

    /// Finds a helper in `PATH`.
    ///
    /// - Parameters:
    ///   - name: What the program is called behind `docker-credential-`.
    ///   - search: The value of `PATH`.
    ///   - patience: How long it may take, with questions to the user.
    /// - Throws: `RktError` with `invalidData` for what is no bare word, `missingDependency` when there is no such
    ///   program.
    init(_ name: String, search: String, patience: Duration = .seconds(120)) throws {
        let isWord = name.utf8.allSatisfy { byte in
            (48...57).contains(byte) || (65...90).contains(byte) || (97...122).contains(byte)
                || "._-".utf8.contains(byte)
        }
        // It becomes a part of a path.
        guard isWord, (1...128).contains(name.utf8.count), name.first != ".", name.first != "-" else {
            throw RktError(.invalidData, "\(name.debugDescription) names no credential helper: it must be a bare word")
        }
        program = "docker-credential-\(name)"
        self.patience = patience
        let program = program
        // The working directory is anybody's.
        let places = search.split(separator: ":").filter { $0.hasPrefix("/") }.map { "\($0)/\(program)" }
        guard let path = places.first(where: { access($0, X_OK) == 0 }) else {
            throw RktError(.missingDependency, "the credential helper \(program) is not in PATH: install it")
        }
        self.path = path
    }

    private struct Answer: Decodable {
        let Username: String
        let Secret: String
    }

    /// Asks for the credentials of a server.
    ///
    /// - Parameter server: The server, as the helper knows it.
    /// - Returns: The credentials; nil when it has none.
    /// - Throws: `RktError` naming the helper when it fails, takes too long or says what cannot be understood.
    func get(_ server: String) throws -> Credential? {
        let (ending, output) = try run(server)
        guard ending == .exited(0) else {
            let words = Self.plain(output)
            if words == Self.nothing { return nil }
            // An error is said in words; whatever else comes may be a secret.
            let reason = words.isEmpty || words.contains("{") ? "" : ": \(words)"
            throw RktError(.failed, "the credential helper \(program) fails for \(server)\(reason)")
        }
        let answer: Answer
        do {
            answer = try StrictJSON.decode(Answer.self, from: output, name: "what it prints")
        } catch {
            // What it prints may be the secret itself.
            throw RktError(.invalidData, "the credential helper \(program) prints no credentials for \(server)")
        }
        if answer.Secret.isEmpty { return nil }
        if answer.Username == Self.tokenUser { return .identityToken(answer.Secret) }
        return .password(user: answer.Username, password: answer.Secret)
    }

    // MARK: The process

    private func run(_ server: String) throws -> (ChildProcess.Ending, [UInt8]) {
        let (input, output) = (try Pipe(), try Pipe())
        // A name fits into a pipe: nobody waits, and as its end to read from is here, nothing breaks.
        do {
            let writer = input.takeWriter()
            try writer.writeAll(Array(server.utf8), name: "the name of \(server)")
        }
        let child = try start(input, output)
        do {
            let bytes = try read(output, until: child)
            return (try child.reap(), bytes)
        } catch {
            try? child.process.send(SIGKILL)
            _ = try? child.reap()
            throw error
        }
    }

    private func start(_ input: Pipe, _ output: Pipe) throws -> ChildProcess {
        let writer = output.takeWriter()
        var start = ChildProcess.Start(path, ["get"])
        start.environment = Self.environment()
        start.descriptors = [0: input.reader.rawValue, 1: writer.rawValue, 2: 2]
        return try ChildProcess(start)
    }

    /// This process's, but for what is between it and systemd.
    private static func environment() -> [String] {
        var found: [String] = []
        var next = environ
        while let text = next.pointee {
            found.append(String(cString: text))
            next += 1
        }
        let others = ["NOTIFY_SOCKET=", "LISTEN_", "WATCHDOG_"]
        return found.filter { variable in !others.contains { variable.hasPrefix($0) } }
    }

    /// Reads until the process has ended: one that it has left behind may keep the pipe open.
    private func read(_ output: Pipe, until child: ChildProcess) throws -> [UInt8] {
        let deadline = ContinuousClock.now + patience
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 << 10)
        let reader = output.reader.rawValue
        var hasEnded = false
        while true {
            var set = [
                pollfd(fd: reader, events: CShort(POLLIN), revents: 0),
                // A negative one is left out.
                pollfd(fd: hasEnded ? -1 : child.process.descriptor.rawValue, events: CShort(POLLIN), revents: 0),
            ]
            let left = deadline - .now
            guard left > .zero else {
                throw RktError(.timeout, "the credential helper \(program) does not answer within \(patience)")
            }
            let wait = hasEnded ? 0 : CInt(clamping: Int(left / .milliseconds(1)) + 1)
            try system("waiting for \(program)") { poll(&set, 2, wait) }
            if set[1].revents != 0 { hasEnded = true }
            if set[0].revents == 0 {
                if hasEnded, set[1].fd < 0 { return bytes }
                continue
            }
            let count = try system("reading what \(program) prints") { Glibc.read(reader, &buffer, buffer.count) }
            if count == 0 {
                if hasEnded { return bytes }
                // Nothing more comes; whether it ends is still to be seen.
                return try waitForEnd(of: child, until: deadline, bytes)
            }
            bytes += buffer[..<count]
            guard bytes.count <= Self.sizeLimit else {
                throw RktError(
                    .limitExceeded,
                    "the credential helper \(program) prints more than \(Self.sizeLimit) bytes"
                )
            }
        }
    }

    private func waitForEnd(
        of child: ChildProcess,
        until deadline: ContinuousClock.Instant,
        _ bytes: [UInt8]
    ) throws -> [UInt8] {
        let left = max(0, Int((deadline - .now) / .milliseconds(1)) + 1)
        var set = pollfd(fd: child.process.descriptor.rawValue, events: CShort(POLLIN), revents: 0)
        guard try system("waiting for \(program)", { poll(&set, 1, CInt(clamping: left)) }) > 0 else {
            throw RktError(.timeout, "the credential helper \(program) does not end within \(patience)")
        }
        return bytes
    }

    /// The first words of what it says, without what could move a cursor.
    private static func plain(_ bytes: [UInt8]) -> String {
        let text = String(decoding: bytes.prefix(1000), as: UTF8.self).trimming { $0.isWhitespace }
        let plain = text.unicodeScalars.map { scalar -> Character in
            let isPlain = scalar.value >= 0x20 && scalar.value != 0x7F && !scalar.properties.isBidiControl
            return isPlain ? Character(scalar) : " "
        }
        return String(plain.prefix(200))
    }
}
