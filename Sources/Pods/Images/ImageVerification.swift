internal import Diagnostics
internal import ImageFetch
public import ImageStore
internal import LinuxOS
public import Manifests

/// Checks all that is in the image store, and puts right what is damaged there.
public struct ImageVerification: Sendable {
    /// Something that is damaged, and who uses it.
    public struct Damage: Sendable {
        /// What it is, and what is wrong with it.
        public let damage: StoreDamage
        /// The pods that use it.
        public let pods: [PodUUID]
    }

    private let data: DataDirectory
    private let store: ImageStore
    private let insecure: InsecureOptions
    private let credentials: CredentialSettings

    /// Prepares a check.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - insecure: What is not to be enforced when something is fetched again.
    ///   - credentials: What to show to servers then.
    /// - Throws: ``RktError`` when the store cannot be opened.
    public init(
        data: DataDirectory,
        insecure: InsecureOptions,
        credentials: CredentialSettings
    ) throws {
        self.data = data
        store = try data.store()
        self.insecure = insecure
        self.credentials = credentials
    }

    /// Finds an image.
    ///
    /// - Parameter text: Its name, or the start of its id.
    /// - Returns: Its record.
    /// - Throws: ``RktError`` with `notFound`.
    public func image(matching text: String) throws -> ImageRecord { try store.image(matching: text) }

    /// Reads everything again.
    ///
    /// - Parameters:
    ///   - images: The images; nil for all.
    ///   - progress: Hears how far it is.
    /// - Returns: What was found.
    /// - Throws: ``RktError`` when the store cannot be read at all.
    public func check(_ images: [ImageRecord]?, progress: ProgressSink? = nil) throws -> StoreVerification {
        try store.verify(images, progress: progress)
    }

    /// Finds out which pods use what is damaged.
    ///
    /// - Parameter damages: What is damaged.
    /// - Returns: The same with the pods.
    /// - Throws: ``RktError`` when the pods' directories cannot be read.
    public func users(of damages: [StoreDamage]) throws -> [Damage] {
        guard !damages.isEmpty else { return [] }
        let pods = try PodLookup(data: data).all().map { ($0.uuid, $0.layersInUse, $0.imagesInUse) }
        return damages.map { damage in
            let ids = Set(damage.images.map(\.id))
            let using = pods.filter { _, layers, images in
                if case .layer(let digest) = damage.object { return layers.contains(digest) }
                return !images.isDisjoint(with: ids)
            }
            return Damage(damage: damage, pods: using.map(\.0))
        }
    }

    // MARK: Repair

    /// Puts one damaged object right: fetches a blob again from where its image came from, unpacks a layer again.
    ///
    /// - Parameter damage: What is damaged; its blob must be good, when it is a layer.
    /// - Throws: ``RktError`` saying why it cannot be done; then the object is as it was.
    public func repair(_ damage: StoreDamage) throws {
        switch damage.object {
        case .record(let path):
            throw RktError(
                .unsupported,
                "a record cannot be made again: remove the file \(path) and fetch the image again"
            )
        case .blob(let digest): try refetch(digest, damage.images)
        case .layer(let digest): try unpackAgain(digest, damage.images)
        }
    }

    private func refetch(_ blob: Digest, _ images: [ImageRecord]) throws {
        var problem: any Error = RktError(
            .notFound,
            "it came from no registry: remove \(Self.names(images)) and fetch it again from where it came from"
        )
        var fetcher: BlobFetcher?
        for image in images {
            for source in image.sources ?? [] {
                do {
                    let made = try fetcher ?? BlobFetcher(registries())
                    fetcher = made
                    return try made.fetch(blob, of: image, from: source)
                } catch {
                    problem = error
                }
            }
        }
        throw problem
    }

    private func registries() throws -> RegistryFetcher {
        try RegistryFetcher(
            store: store,
            insecure: insecure,
            credentials: credentials,
            directories: credentials.directories
        )
    }

    private static func names(_ images: [ImageRecord]) -> String {
        images.map { "image \"\($0.displayName)\"" }.joined(separator: ", ")
    }

    private func unpackAgain(_ layer: Digest, _ images: [ImageRecord]) throws {
        guard let image = images.first(where: \.isTrusted) else {
            throw RktError(.notFound, "no image of root's has it")
        }
        // Nobody prepares a pod of it meanwhile, and none that is prepared is started.
        let lock = try data.lockImages(.exclusive)
        defer { withExtendedLifetime(lock.rawValue) {} }
        var held: [SharedFD] = []
        for pod in try PodLookup(data: data).all() where pod.layersInUse.contains(layer) {
            do {
                held.append(SharedFD(try pod.lock()))
            } catch let error as RktError where error.code == .busy {
                throw RktError(.busy, "pod \(pod.uuid) is using it: stop the pod, then repair the layer")
            }
        }
        defer { withExtendedLifetime(held) {} }
        try store.replaceLayer(layer, of: image)
    }
}
