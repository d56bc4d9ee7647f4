internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Testing
@testable internal import Journal

@Suite struct NotifyTests {
    @Test(
        arguments: [
            (Notify.State.ready, "READY=1"), (.stopping, "STOPPING=1"), (.watchdog, "WATCHDOG=1"),
            (.status("pod has 2 apps"), "STATUS=pod has 2 apps"),
            (.status("a\nREADY=1\r\nMAINPID=1\0x"), "STATUS=a READY=1 MAINPID=1 x"),
            (.mainPID(4711), "MAINPID=4711"), (.errno(2), "ERRNO=2"),
            (.extendTimeout(5_000_000), "EXTEND_TIMEOUT_USEC=5000000"),
            (.reloading(since: 77), "RELOADING=1\nMONOTONIC_USEC=77"),
        ]
    )
    func `writes each state as one assignment`(state: Notify.State, text: String) {
        #expect(state.assignment == text)
    }

    @Test func `tells nobody when nobody asked`() throws {
        #expect(getenv("NOTIFY_SOCKET") == nil)
        #expect(!Notify.isWanted)
        #expect(try !Notify.send(.ready))
        #expect(try !Notify.barrier(timeout: .seconds(5)))
        #expect(try Notify.watchdogInterval() == nil)
        #expect(try Notify.takeListenDescriptors() == [])
    }

    @Test(.timeLimit(.minutes(5)))
    func `tells the service manager in one message`() async throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/notify"
        await #expect(processExitsWith: .success) { [path = path as String] in
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let manager = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
            let bound = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(manager, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            #expect(bound == 0)
            setenv("NOTIFY_SOCKET", path, 1)
            let told = try Notify.send(.mainPID(12), .ready, .status("up"))
            #expect(told)
            var buffer = [UInt8](repeating: 0, count: 256)
            let count = recv(manager, &buffer, buffer.count, 0)
            #expect(String(decoding: buffer[..<max(0, count)], as: UTF8.self) == "MAINPID=12\nREADY=1\nSTATUS=up")
        }
    }
}
