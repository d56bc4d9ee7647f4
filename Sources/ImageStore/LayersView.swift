internal import CLinux
internal import Diagnostics
internal import Glibc
package import LinuxOS

/// A look at the root file system that an image's layers make.
package enum LayersView {
    /// Calls `body` with a way to open the merged root of some layers.
    ///
    /// A single layer is the root as it is. Several are merged by a read-only overlay that is mounted for the purpose,
    /// on a thread with a mount namespace of its own: no other thread and no other process ever sees it.
    ///
    /// - Parameters:
    ///   - layers: The layers' directories, lowest first.
    ///   - mountPoint: An existing empty directory.
    ///   - body: Opens the root when it needs to.
    /// - Returns: What `body` returns.
    /// - Throws: ``RktError`` when the root cannot be opened or mounted, and what `body` throws.
    package static func with<R: Sendable>(
        layers: [String],
        mountPoint: String,
        _ body: @escaping (() throws -> Directory) throws -> R
    ) throws -> R {
        if layers.count == 1 { return try body { try Directory(path: layers[0]) } }
        let work = Work { try body { try mountedRoot(layers: layers, mountPoint: mountPoint) } }
        let error = rkt_run_on_thread(
            { context in
                guard let context else { return }
                Unmanaged<AnyWork>.fromOpaque(context).takeUnretainedValue().run()
            },
            Unmanaged<AnyWork>.passUnretained(work).toOpaque()
        )
        guard error == 0, let result = work.result else {
            throw RktError(errno: error, "starting a thread")
        }
        return try result.get()
    }

    private static func mountedRoot(layers: [String], mountPoint: String) throws -> Directory {
        try system("making a mount namespace") { rkt_unshare_mounts() }
        let held = try layers.reversed().map { try Directory(path: $0) }
        let names = held.map { "/proc/self/fd/\($0.descriptor.rawValue)" }.joined(separator: ":")
        // The kernel finds the layers by their descriptors.
        try withExtendedLifetime(held) {
            _ = try system("mounting the image's layers") {
                mount("overlay", mountPoint, "overlay", UInt(MS_RDONLY | MS_NOSUID | MS_NODEV), "lowerdir=\(names)")
            }
        }
        return try Directory(path: mountPoint)
    }
}

/// Something to do on another thread, without its type.
private class AnyWork {
    func run() {}
}

private final class Work<R>: AnyWork {
    private let body: () throws -> R
    private(set) var result: Result<R, any Error>?

    init(_ body: @escaping () throws -> R) {
        self.body = body
    }

    override func run() {
        result = Result(catching: body)
    }
}
