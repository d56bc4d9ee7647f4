internal import CLinux
internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Hands a stream to a process that can see it and nothing else: pieces of memory, used in turn, which that process has
/// read-only; a socket says how long each is, and gets a byte back when it is free again.
///
/// Where the process is confined, nothing that it does can change what was put in; and nothing of it is ever read back.
final class PieceRing {
    private let name: String
    /// The process's, until it has them.
    private var memory: OwnedFD?
    private var reader: OwnedFD?
    private let file: OwnedFD
    private var writer: OwnedFD?
    private var next = 0
    private var free = PieceRing.count

    /// The most bytes of a piece.
    static let size = Int(RKT_PIECE_SIZE)
    /// How many there are.
    static let count = Int(RKT_PIECES)

    /// Makes one.
    ///
    /// - Parameter name: What the stream is, for errors.
    /// - Throws: ``RktError`` when there is no memory or no descriptor left.
    init(name: String) throws {
        self.name = name
        file = OwnedFD(taking: try system("unpacking \(name)") { rkt_memfd("pieces") })
        let raw = file.rawValue
        try system("unpacking \(name)") { ftruncate(raw, off_t(PieceRing.size * PieceRing.count)) }
        // What is mapped by a descriptor that was opened for reading cannot be made writable.
        let path = "/proc/self/fd/\(raw)"
        memory = OwnedFD(taking: try system("unpacking \(name): opening \(path)") { open(path, O_RDONLY | O_CLOEXEC) })
        var pair: [CInt] = [-1, -1]
        let type = CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        try system("unpacking \(name)") { socketpair(AF_UNIX, type, 0, &pair) }
        reader = OwnedFD(taking: pair[0])
        writer = OwnedFD(taking: pair[1])
    }

    /// Starts the process, once.
    ///
    /// - Parameter start: Starts it with the memory, opened for reading, and the process's end of the socket.
    /// - Returns: What `start` returns.
    /// - Throws: ``RktError`` when that is negative.
    func handOver(_ start: (_ memory: CInt, _ socket: CInt) -> pid_t) throws -> pid_t {
        let (given, end) = (memory?.rawValue ?? -1, reader?.rawValue ?? -1)
        let child = try system("starting a process to unpack \(name)") { start(given, end) }
        // Now only the process has it, so that its end shows.
        memory = nil
        reader = nil
        return child
    }

    /// Puts bytes in; waits while there is no room.
    ///
    /// - Parameter bytes: The bytes.
    /// - Returns: Whether the process takes more; false when it has ended.
    /// - Throws: ``RktError`` when they cannot be handed on.
    func put(_ bytes: UnsafeRawBufferPointer) throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            let piece = UnsafeRawBufferPointer(rebasing: rest.prefix(PieceRing.size))
            guard try hasRoom(), try put(piece: piece) else { return false }
            rest = rest.dropFirst(piece.count)
        }
        return true
    }

    /// Says that nothing more comes.
    func finish() { writer = nil }

    private func put(piece: UnsafeRawBufferPointer) throws -> Bool {
        let descriptor = file.rawValue
        let start = next * PieceRing.size
        var written = 0
        while written < piece.count {
            written += try system("unpacking \(name)") {
                let rest = UnsafeRawBufferPointer(rebasing: piece[written...])
                return pwrite(descriptor, rest.baseAddress, rest.count, off_t(start + written))
            }
        }
        next = (next + 1) % PieceRing.count
        free -= 1
        var length = UInt32(piece.count)
        let socket = writer?.rawValue ?? -1
        // So few bytes are sent at once or not at all.
        return try onSocket { send(socket, &length, MemoryLayout<UInt32>.size, CInt(MSG_NOSIGNAL)) } > 0
    }

    /// Waits until a piece is free; false when the process has ended.
    private func hasRoom() throws -> Bool {
        guard free == 0 else { return true }
        var bytes = [UInt8](repeating: 0, count: PieceRing.count)
        let socket = writer?.rawValue ?? -1
        let count = try onSocket { recv(socket, &bytes, bytes.count, 0) }
        free = count
        return count > 0
    }

    /// Makes a call on the socket; 0 when nobody is at its other end any more.
    private func onSocket(_ call: () -> Int) throws -> Int {
        do {
            return try system("unpacking \(name)", call)
        } catch let error as RktError where error.errno == EPIPE || error.errno == ECONNRESET {
            return 0
        }
    }
}
