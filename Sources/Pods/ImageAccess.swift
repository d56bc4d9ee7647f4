internal import Diagnostics
internal import ImageFetch
public import ImageStore
internal import LinuxOS
internal import Manifests

/// Gets images for pods and for `fetch`: from the store, or from where the user says.
public struct ImageAccess: Sendable {
    /// When an image is fetched that the store may have (reference, 2.2).
    public enum PullPolicy: String, Sendable {
        /// Never.
        case never
        /// When the store has none.
        case new
        /// Always.
        case update
    }

    /// The store.
    public let store: ImageStore
    private let policy: PullPolicy
    private let insecure: InsecureOptions
    private let credentials: CredentialSettings
    private let progress: ProgressSink?

    /// Opens a data directory's images.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - policy: When to fetch.
    ///   - insecure: What is not to be enforced.
    ///   - credentials: What to show to servers.
    ///   - progress: Hears how far fetching is.
    /// - Throws: ``RktError`` when the store cannot be opened or made.
    public init(
        data: DataDirectory,
        policy: PullPolicy,
        insecure: InsecureOptions,
        credentials: CredentialSettings,
        progress: ProgressSink?
    ) throws {
        self.credentials = credentials
        store = try ImageStore(root: data.storePath, create: true)
        self.policy = policy
        self.insecure = insecure
        self.progress = progress
    }

    /// Gets an image into the store, if it is not there.
    ///
    /// - Parameters:
    ///   - text: The image, as the user wrote it.
    ///   - signature: The path of its detached signature.
    ///   - acceptsID: Whether the text may be an image id.
    /// - Returns: The image's record.
    /// - Throws: ``RktError`` with `notFound` when there is no such image.
    public func obtain(_ text: String, signature: String? = nil, acceptsID: Bool = true) throws -> ImageRecord {
        switch try ImageReference(text, acceptsID: acceptsID, exists: FileFetcher.isImage) {
        case .id: return try store.image(matching: text)
        case .file(let path, let reference):
            let options = FetchOptions(insecureImage: insecure.contains(.image), signaturePath: signature)
            return try FileFetcher(store: store).fetch(
                file: path,
                reference: reference,
                options: options,
                progress: progress
            )
        case .docker(let reference): return try obtain(reference)
        case .appc, .url:
            if policy != .update, let found = try stored(text) { return found }
            throw RktError(
                .notFound,
                "unable to fetch image from image name \"\(text)\": either image was not found in the store or the "
                    + "registry is not supported yet: give the path of an image file"
            )
        }
    }

    private func obtain(_ reference: DockerReference) throws -> ImageRecord {
        // What was fetched without anybody's word needs the user's again.
        let isVerified = !insecure.contains(.image)
        if policy != .update, let found = try store.image(fetchedFrom: reference.source, verified: isVerified) {
            return found
        }
        guard policy != .never else {
            throw RktError(
                .notFound,
                "unable to fetch image from image name \"docker://\(reference)\": either image was not found in the store or "
                    + "it may not be fetched (--pull-policy=never)"
            )
        }
        let settings = HTTPSettings(
            userAgent: "rkt/\(Installation.version)",
            allowsHTTP: insecure.contains(.http),
            ignoresCertificates: insecure.contains(.tls)
        )
        return try RegistryFetcher(store: store, settings: settings, credentials: credentials).fetch(
            reference,
            options: FetchOptions(insecureImage: insecure.contains(.image)),
            progress: progress
        )
    }

    /// The image a pod is made of: in the store and unpacked.
    ///
    /// - Parameters:
    ///   - text: The image, as the user wrote it.
    ///   - signature: The path of its detached signature.
    /// - Returns: The image.
    /// - Throws: ``RktError`` as ``obtain(_:signature:acceptsID:)``, or when it cannot be unpacked.
    public func podImage(_ text: String, signature: String? = nil) throws -> PodImage {
        try PodImage(try obtain(text, signature: signature), in: store)
    }

    /// A stage1 that is an image, in the store and unpacked.
    ///
    /// - Parameters:
    ///   - source: Where it is.
    ///   - trusted: The directory whose images need no signature.
    /// - Returns: The stage1.
    /// - Throws: ``RktError`` as ``obtain(_:signature:acceptsID:)``, or when the image is no stage1.
    public func stage1(_ source: Stage1Choice.Source, trusted: String) throws -> Stage1Image {
        try withContext("error getting stage1 image \(source)") {
            try Stage1Image(try PodImage(try stage1Record(source, trusted: trusted), in: store))
        }
    }

    private func stage1Record(_ source: Stage1Choice.Source, trusted: String) throws -> ImageRecord {
        switch source {
        case .id(let text):
            _ = try ImageIDPrefix(text)
            return try store.image(matching: text)
        case .name(let text):
            if let found = try stored(text) { return found }
            throw RktError(.notFound, "it is none of units, fly and nspawn, and there is no such image in the store")
        case .file(let path): return try stage1File(path, trusted: trusted)
        case .sibling(let name): return try stage1File("\(trusted)/\(name)", trusted: trusted)
        case .configured(let name, let location):
            if let name, !name.hasSuffix("-dirty"), let found = try stored(name) { return found }
            guard let location else {
                throw RktError(.notFound, "it is not in the store, and the configuration gives no location")
            }
            return try stage1File(location, trusted: trusted)
        }
    }

    /// Those that came with rkt are as trusted as rkt.
    private func stage1File(_ path: String, trusted: String) throws -> ImageRecord {
        let isTrusted = Installation.isFile(path, below: trusted)
        let options = FetchOptions(insecureImage: insecure.contains(.image))
        let fetcher = isTrusted ? FileFetcher(store: store, policy: InstalledPolicy()) : FileFetcher(store: store)
        return try fetcher.fetch(file: path, reference: nil, options: options, progress: progress)
    }

    private func stored(_ text: String) throws -> ImageRecord? {
        do {
            return try store.image(matching: text)
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }
}

extension DataDirectory {
    /// The image store, made if it is missing.
    ///
    /// - Returns: The store.
    /// - Throws: ``RktError`` when it cannot be opened or made.
    public func store() throws -> ImageStore { try ImageStore(root: storePath, create: true) }

    /// Removes an image from the store.
    ///
    /// - Parameters:
    ///   - record: The image.
    ///   - store: The store it is in.
    /// - Throws: ``RktError`` with `busy` when a pod uses it.
    public func remove(_ record: ImageRecord, from store: ImageStore) throws {
        let lock = try lockImages(.exclusive)
        defer { withExtendedLifetime(lock.rawValue) {} }
        let used = try imagesInUse()
        try store.remove(record) { used.contains($0.id) }
    }

    /// Removes the images and layers that neither a pod nor anybody lately has used.
    ///
    /// - Parameter grace: How long an image stays after its last use.
    /// - Returns: What was removed.
    /// - Throws: ``RktError`` with `busy` while others add to the store.
    public func collectImages(grace: Duration) throws -> GarbageReport {
        let lock = try lockImages(.exclusive)
        defer { withExtendedLifetime(lock.rawValue) {} }
        let store = try store()
        let images = try imagesInUse()
        return try store.collectGarbage(grace: grace, inUseLayers: try layersInUse(), inUseImages: images)
    }

    /// The layers that pods use: a pod may outlive its image in the store.
    private func layersInUse() throws -> Set<Digest> {
        var used: Set<Digest> = []
        for pod in try PodLookup(data: self).all() {
            let places = ((try? pod.overview()) ?? []).map { "apps/\($0.name)" } + [Stage1Image.directoryName]
            for place in places {
                let list = (try? pod.directory.readText("\(place)/layers")) ?? ""
                for path in list.split(separator: "\n") {
                    if let name = path.split(separator: "/").last, let digest = try? Digest("sha256:\(name)") {
                        used.insert(digest)
                    }
                }
            }
        }
        return used
    }

    /// The ids of the images that pods use.
    ///
    /// - Returns: The ids.
    /// - Throws: ``RktError`` when a pod's directory cannot be read.
    public func imagesInUse() throws -> Set<String> {
        var used: Set<String> = []
        for pod in try PodLookup(data: self).all() {
            for app in (try? pod.overview()) ?? [] { used.insert(app.imageID) }
            if let programs = try? RuntimeConfiguration(of: pod).programs { used.insert(programs.imageID) }
        }
        return used
    }
}
