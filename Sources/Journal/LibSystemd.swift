internal import Diagnostics
internal import Glibc

/// The functions of libsystemd that this module calls, loaded when the first of them is needed.
///
/// Linking the library costs every command half a millisecond at its start (it brings compression and crypto
/// libraries), and only few commands need it. The signatures are checked against the real headers by the tests.
struct LibSystemd: Sendable {
    typealias Handle = OpaquePointer
    typealias OnHandle = @convention(c) @Sendable (Handle?) -> CInt
    typealias VoidOnHandle = @convention(c) @Sendable (Handle?) -> Void
    typealias Open = @convention(c) @Sendable (UnsafeMutablePointer<Handle?>?, CInt) -> CInt
    typealias OpenNamed =
        @convention(c) @Sendable (UnsafeMutablePointer<Handle?>?, UnsafePointer<CChar>?, CInt) -> CInt
    typealias OpenFiles =
        @convention(c) @Sendable (
            UnsafeMutablePointer<Handle?>?, UnsafeMutablePointer<UnsafePointer<CChar>?>?, CInt
        ) -> CInt
    typealias Match = @convention(c) @Sendable (Handle?, UnsafeRawPointer?, Int) -> CInt
    typealias WithSize = @convention(c) @Sendable (Handle?, Int) -> CInt
    typealias WithCount = @convention(c) @Sendable (Handle?, UInt64) -> CInt
    typealias WithText = @convention(c) @Sendable (Handle?, UnsafePointer<CChar>?) -> CInt
    typealias GetCount = @convention(c) @Sendable (Handle?, UnsafeMutablePointer<UInt64>?) -> CInt
    typealias GetText =
        @convention(c) @Sendable (Handle?, UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?) -> CInt
    typealias GetData =
        @convention(c) @Sendable (
            Handle?, UnsafeMutablePointer<UnsafeRawPointer?>?, UnsafeMutablePointer<Int>?
        ) -> CInt
    // The id is 16 bytes of the caller's.
    typealias GetCountAndID =
        @convention(c) @Sendable (Handle?, UnsafeMutablePointer<UInt64>?, UnsafeMutableRawPointer?) -> CInt
    typealias OpenStream = @convention(c) @Sendable (UnsafePointer<CChar>?, CInt, CInt) -> CInt
    typealias GetID = @convention(c) @Sendable (UnsafeMutableRawPointer?) -> CInt

    let open: Open
    let openNamespace: OpenNamed
    let openDirectory: OpenNamed
    let openFiles: OpenFiles
    let close: VoidOnHandle
    let addMatch: Match
    let setDataThreshold: WithSize
    let seekHead: OnHandle
    let seekTail: OnHandle
    let seekCursor: WithText
    let testCursor: WithText
    let next: OnHandle
    let previousSkip: WithCount
    let realtime: GetCount
    let monotonic: GetCountAndID
    let cursor: GetText
    let restartData: VoidOnHandle
    let enumerateData: GetData
    let descriptor: OnHandle
    let events: OnHandle
    let timeout: GetCount
    let process: OnHandle
    let machineID: GetID
    let openStream: OpenStream

    private static let loaded = Result { try LibSystemd() }

    /// The library.
    ///
    /// - Throws: ``RktError`` with `missingDependency` when it is not installed, or lacks a function.
    static func shared() throws -> LibSystemd { try loaded.get() }

    private init() throws {
        let name = "libsystemd.so.0"
        guard let library = dlopen(name, RTLD_LAZY | RTLD_LOCAL) else {
            let reason = dlerror().map { String(cString: $0) } ?? "unknown reason"
            throw RktError(.missingDependency, "loading \(name) (package libsystemd0): \(reason)")
        }
        func function<F>(_ symbol: String) throws -> F {
            guard let address = dlsym(library, symbol) else {
                throw RktError(.missingDependency, "\(name) has no function \(symbol): systemd 252 or newer is needed")
            }
            return unsafeBitCast(address, to: F.self)
        }
        open = try function("sd_journal_open")
        openNamespace = try function("sd_journal_open_namespace")
        openDirectory = try function("sd_journal_open_directory")
        openFiles = try function("sd_journal_open_files")
        close = try function("sd_journal_close")
        addMatch = try function("sd_journal_add_match")
        setDataThreshold = try function("sd_journal_set_data_threshold")
        seekHead = try function("sd_journal_seek_head")
        seekTail = try function("sd_journal_seek_tail")
        seekCursor = try function("sd_journal_seek_cursor")
        testCursor = try function("sd_journal_test_cursor")
        next = try function("sd_journal_next")
        previousSkip = try function("sd_journal_previous_skip")
        realtime = try function("sd_journal_get_realtime_usec")
        monotonic = try function("sd_journal_get_monotonic_usec")
        cursor = try function("sd_journal_get_cursor")
        restartData = try function("sd_journal_restart_data")
        enumerateData = try function("sd_journal_enumerate_available_data")
        descriptor = try function("sd_journal_get_fd")
        events = try function("sd_journal_get_events")
        timeout = try function("sd_journal_get_timeout")
        process = try function("sd_journal_process")
        machineID = try function("sd_id128_get_machine")
        openStream = try function("sd_journal_stream_fd")
    }
}
