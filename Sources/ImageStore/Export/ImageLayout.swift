internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

/// An OCI image layout on its way out (OCI image specification, image-layout): the blobs first, as an index without
/// them would be worth nothing.
struct ImageLayout {
    /// Hands on a blob's content.
    typealias Content = (_ sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws -> Void

    private let manifest: OCI.Descriptor
    private let name: String?
    private var blobs: [(digest: Digest, size: Int64, content: Content)] = []

    init(manifest: OCI.Descriptor, name: String?) {
        self.manifest = manifest
        self.name = name
    }

    /// Adds a blob; one that is there already is not added again.
    mutating func add(_ digest: Digest, size: Int64, _ content: @escaping Content) {
        guard !blobs.contains(where: { $0.digest == digest }) else { return }
        blobs.append((digest, size, content))
    }

    mutating func add(_ digest: Digest, _ bytes: [UInt8]) {
        add(digest, size: Int64(bytes.count)) { sink in try bytes.withUnsafeBytes(sink) }
    }

    private static let version = Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)

    private func index() throws -> [UInt8] { try OCI.index(manifest, name: name) }

    private var algorithms: [String] { Set(blobs.map(\.digest.algorithm.rawValue)).sorted() }

    /// Writes the layout as a tar.
    func write(to sink: @escaping (UnsafeRawBufferPointer) throws -> Void) throws {
        let tar = TarStream(sink)
        try tar.addFile("oci-layout", Self.version)
        try tar.addFile("index.json", try index())
        try tar.addDirectory("blobs")
        for algorithm in algorithms { try tar.addDirectory("blobs/\(algorithm)") }
        for blob in blobs {
            try tar.addFile("blobs/\(blob.digest.algorithm.rawValue)/\(blob.digest.hex)", size: blob.size) { sink in
                try withoutActuallyEscaping(sink) { try blob.content($0) }
            }
        }
        try tar.finish()
    }

    /// Writes the layout into an empty directory.
    func write(to directory: Directory) throws {
        let parent = try directory.ensureDirectory("blobs")
        for algorithm in algorithms { _ = try parent.ensureDirectory(algorithm) }
        for blob in blobs {
            let place = try parent.directory(blob.digest.algorithm.rawValue)
            let copy = BlobCopy(try place.open(blob.digest.hex, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
            try blob.content { try copy.file.writeAll($0, name: place.path(of: blob.digest.hex)) }
        }
        try directory.writeInPlace("oci-layout", Self.version)
        try directory.writeInPlace("index.json", try index())
    }
}
