internal import Diagnostics
public import LinuxOS

extension ImageStore {
    /// A place for work that is gone with the result.
    func workArea() throws -> WorkArea {
        let area = try part("tmp")
        WorkArea.removeLeftovers(in: area)
        return try WorkArea(in: area)
    }

    /// Calls `body` with the root that layers make, as an app would see it.
    ///
    /// - Parameters:
    ///   - layers: The layers, lowest first.
    ///   - body: Reads the root, and writes nothing to it.
    /// - Returns: What `body` returns.
    /// - Throws: ``RktError`` when the root cannot be mounted, and what `body` throws.
    func withRoot<R: Sendable>(of layers: [LayerDirectory], _ body: @escaping (Directory) throws -> R) throws -> R {
        let area = try workArea()
        defer { withExtendedLifetime(area) {} }
        guard !layers.isEmpty else {
            try area.directory.makeDirectory("root", mode: 0o755)
            return try body(try area.directory.directory("root"))
        }
        try area.directory.makeDirectory("mount", mode: 0o700)
        return try LayersView.with(layers: layers.map(\.path), mountPoint: area.directory.path(of: "mount")) { open in
            try body(try open())
        }
    }
}

extension ImageStore {
    /// Copies the root of an image, as an app would see it before it writes anything. Needs root: its files have owners
    /// and modes.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - alone: Whether an appc image is taken as it is, without what it depends on.
    ///   - directory: An empty directory, which becomes the root.
    ///   - progress: Hears how far unpacking is.
    /// - Throws: ``RktError`` as ``layers(of:progress:)``, or when the root cannot be copied.
    public func copyRoot(
        of record: ImageRecord,
        alone: Bool,
        to directory: Directory,
        progress: ProgressSink? = nil
    ) throws {
        let lease = try lease()
        defer { withExtendedLifetime(lease) {} }
        let layers = alone ? try ownLayers(of: record, progress: progress) : try layers(of: record, progress: progress)
        try withRoot(of: layers) { try $0.copyTree(to: directory) }
    }
}
