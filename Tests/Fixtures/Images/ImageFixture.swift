internal import CLinux
internal import Diagnostics
internal import Glibc
internal import ImageStore
public import LinuxOS
public import Manifests

/// A directory of its own for one test, removed with it.
public final class Scratch: Sendable {
    /// The directory's path.
    public let path: String
    /// The directory.
    public let directory: Directory

    /// Makes the directory.
    public init() throws {
        path = "/tmp/rkt-images-\(getpid())-\(UInt64.random(in: 0 ... .max))"
        directory = try Directory.ensure(path: path, mode: 0o700)
    }

    deinit {
        try? Directory(path: "/tmp").removeTree(String(path.dropFirst(5)))
    }

    /// Writes a file and returns its path.
    public func file(_ name: String, _ bytes: [UInt8]) throws -> String {
        try directory.write(name, bytes)
        return "\(path)/\(name)"
    }

    /// Runs a shell command in the directory.
    public func shell(_ command: String) throws {
        let status = Glibc.system("cd '\(path)' && \(command)")
        guard status == 0 else { throw RktError(.failed, "command failed (\(status)): \(command)") }
    }

    /// The content below `name`, compressed by a program.
    public func compressed(_ bytes: [UInt8], with program: String) throws -> [UInt8] {
        let name = "c-\(UInt64.random(in: 0 ... .max))"
        _ = try file(name, bytes)
        try shell("\(program) -c < \(name) > \(name).out")
        return try directory.read("\(name).out", limit: 1 << 30)
    }
}

/// Whether a program is there.
public func hasProgram(_ name: String) -> Bool {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].contains { access("\($0)/\(name)", X_OK) == 0 }
}

/// Whether the tests run as root.
public let isRoot = geteuid() == 0

/// Images made by hand, right or wrong in any part.
public struct ImageFixture {
    /// A layer: the tar and the blob it is kept in.
    public struct Layer {
        /// The uncompressed tar.
        public var tar: [UInt8]
        /// The blob.
        public var blob: [UInt8]
        /// The blob's media type.
        public var mediaType: String

        /// A layer of entries that is not compressed.
        public init(_ entries: [TarWriter.Entry]) {
            tar = TarWriter.tar(entries)
            blob = tar
            mediaType = OCI.MediaType.layer
        }
    }

    /// The layers.
    public var layers: [Layer]
    /// The `config` member of the configuration, JSON.
    public var config = #"{"Env":["PATH=/bin"],"Entrypoint":["/bin/sh"],"Cmd":["-c","true"]}"#
    /// The platform.
    public var platform = OCI.Platform.host
    /// The diff IDs, if not the right ones.
    public var diffIDs: [String]?
    /// The name in the index.
    public var name: String? = "example.com/app:1"
    /// Changes the manifest's text.
    public var editManifest: (String) -> String = { $0 }
    /// Changes the index's text.
    public var editIndex: (String) -> String = { $0 }

    /// An image of layers.
    public init(_ layers: [Layer]) {
        self.layers = layers
    }

    /// An image with one small layer.
    public static var small: ImageFixture {
        ImageFixture([Layer([.directory("./"), .directory("bin"), .file("bin/sh", "#!", mode: 0o755)])])
    }

    /// The digest of bytes.
    public static func digest(_ bytes: [UInt8]) -> Digest {
        // A digest of 32 bytes is always well-formed.
        guard let digest = try? ContentHash.digest(.sha256, of: bytes) else { fatalError("no digest") }
        return digest
    }

    /// The image's configuration.
    public var configBytes: [UInt8] {
        let ids = diffIDs ?? layers.map { "\(Self.digest($0.tar))" }
        let variant = platform.variant.map { #","variant":"\#($0)""# } ?? ""
        return Array(
            #"{"os":"\#(platform.os)","architecture":"\#(platform.architecture)"\#(variant),"config":\#(config),"#.utf8
        ) + Array(#""rootfs":{"type":"layers","diff_ids":[\#(ids.map { "\"\($0)\"" }.joined(separator: ","))]}}"#.utf8)
    }

    private static func descriptor(_ type: String, _ bytes: [UInt8], _ more: String = "") -> String {
        #"{"mediaType":"\#(type)","digest":"\#(digest(bytes))","size":\#(bytes.count)\#(more)}"#
    }

    /// The image's manifest.
    public var manifestBytes: [UInt8] {
        let list = layers.map { Self.descriptor($0.mediaType, $0.blob) }.joined(separator: ",")
        return Array(
            editManifest(
                #"{"schemaVersion":2,"mediaType":"\#(OCI.MediaType.manifest)","config":"#
                    + Self.descriptor(OCI.MediaType.config, configBytes) + #","layers":[\#(list)]}"#
            ).utf8
        )
    }

    /// The parts of an OCI layout.
    public var layoutFiles: [(String, [UInt8])] {
        let names = name.map { #","annotations":{"org.opencontainers.image.ref.name":"\#($0)"}"# } ?? ""
        let index = editIndex(
            #"{"schemaVersion":2,"manifests":[\#(Self.descriptor(OCI.MediaType.manifest, manifestBytes, names))]}"#
        )
        let blobs = [manifestBytes, configBytes] + layers.map(\.blob)
        return [("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8)), ("index.json", Array(index.utf8))]
            + blobs.map { ("blobs/sha256/\(Self.digest($0).hex)", $0) }
    }

    /// Writes an OCI layout.
    public func writeLayout(_ scratch: Scratch, _ name: String = "layout") throws -> String {
        _ = try Directory.ensure(path: "\(scratch.path)/\(name)/blobs/sha256")
        for (file, bytes) in layoutFiles {
            let parts = file.split(separator: "/")
            let directory = try Directory(path: "\(scratch.path)/\(name)/\(parts.dropLast().joined(separator: "/"))")
            try directory.write(String(parts[parts.count - 1]), bytes)
        }
        return "\(scratch.path)/\(name)"
    }

    /// A tar of an OCI layout.
    public var layoutTar: [UInt8] {
        TarWriter.tar(layoutFiles.map { file, bytes in TarWriter.Entry.file(file).with { $0.content = bytes } })
    }

    /// A tar as `docker save` wrote it before it knew OCI.
    public var dockerTar: [UInt8] { dockerTar(named: "app:1") }

    /// A tar as `docker save` wrote it before it knew OCI, with a name in JSON's form.
    public func dockerTar(named tag: String) -> [UInt8] {
        let config = configBytes
        let name = "\(Self.digest(config).hex).json"
        let layerNames = layers.indices.map { "layer\($0)/layer.tar" }
        let list = layerNames.map { "\"\($0)\"" }.joined(separator: ",")
        let manifest = #"[{"Config":"\#(name)","RepoTags":["\#(tag)"],"Layers":[\#(list)]}]"#
        return TarWriter.tar(
            zip(layerNames, layers).map { name, layer in .file(name).with { $0.content = layer.tar } }
                + [.file(name).with { $0.content = config }, .file("manifest.json", manifest)]
        )
    }

    /// An appc image.
    public static func aci(
        name: String = "example.com/app",
        version: String = "1.0.0",
        more: String = "",
        _ entries: [TarWriter.Entry]
    ) -> [UInt8] {
        let manifest = """
            {"acKind":"ImageManifest","acVersion":"0.8.11","name":"\(name)",\(more)"labels":[{"name":"version","value":\
            "\(version)"},{"name":"os","value":"linux"},{"name":"arch","value":"amd64"}],"app":{"exec":["/bin/sh"],\
            "user":"0","group":"0"}}
            """
        return TarWriter.tar([.file("manifest", manifest), .directory("rootfs")] + entries)
    }
}

/// The value of an extended attribute; nil when there is none.
public func extendedAttribute(_ name: String, _ path: String) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: 4096)
    let count = rkt_lgetxattr(path, name, &value, value.count)
    return count < 0 ? nil : [UInt8](value[..<count])
}

/// The directory `Tests` of the source tree.
public let testDirectory = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" }
