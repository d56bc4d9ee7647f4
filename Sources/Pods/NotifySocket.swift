internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// The socket on which systemd listens to its services, connected, to be handed to the pod's init.
enum NotifySocket {
    /// Connects to the socket that systemd named in `NOTIFY_SOCKET`.
    static func connect() throws -> OwnedFD {
        guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }) else {
            throw RktError(.wrongState, "not started by systemd: NOTIFY_SOCKET is not set")
        }
        let kind = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue)
        let socket = OwnedFD(taking: try system("opening systemd's socket") { Glibc.socket(AF_UNIX, kind, 0) })
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        // `@` stands for the NUL of the abstract name space.
        let isAbstract = bytes.first == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw RktError(.invalidArgument, "NOTIFY_SOCKET is too long: \(path)")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(2 + bytes.count + (isAbstract ? 0 : 1))
        let raw = socket.rawValue
        try withUnsafePointer(to: &address) { address in
            try address.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                _ = try system("reaching systemd at \(path)") { Glibc.connect(raw, address, length) }
            }
        }
        return socket
    }
}
