internal import Diagnostics
internal import ImageFetch
public import ImageStore
internal import LinuxOS
internal import Manifests

/// Gets images for pods and for `fetch`: from the store, or from where the user says.
public struct ImageAccess: Sendable {
    /// When an image is fetched that the store may have.
    public enum PullPolicy: String, Sendable {
        /// Never.
        case never
        /// When the store has none.
        case new
        /// Always.
        case update

        /// Fetches what the store may have already: where that cannot be reached, says how to use what is here.
        static func naming(_ known: ImageRecord?, _ fetch: () throws -> ImageRecord) throws -> ImageRecord {
            do {
                return try fetch()
            } catch let error as RktError where known != nil && error.code == .unavailable {
                throw error.adding("the store has it already (to use that: --pull-policy=new)")
            }
        }
    }

    /// The store.
    public let store: ImageStore
    private var policy: PullPolicy
    private let insecure: InsecureOptions
    private var credentials: CredentialSettings
    /// The configuration directories, which count for whoever is shown no credentials too.
    private let directories: [String]
    private let progress: ProgressSink?
    private let trust: ImageTrust

    /// Opens a data directory's images.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - policy: When to fetch.
    ///   - insecure: What is not to be enforced.
    ///   - credentials: What to show to servers.
    ///   - trust: Whose signatures count.
    ///   - progress: Hears how far fetching is.
    /// - Throws: ``RktError`` when the store cannot be opened or made.
    public init(
        data: DataDirectory,
        policy: PullPolicy,
        insecure: InsecureOptions,
        credentials: CredentialSettings,
        trust: ImageTrust = ImageTrust(),
        progress: ProgressSink?
    ) throws {
        self.credentials = credentials
        directories = credentials.directories
        self.trust = trust
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
        let record = try find(text, signature: signature, acceptsID: acceptsID)
        try archives.complete(record)
        return record
    }

    private var archives: ArchiveAccess {
        ArchiveAccess(
            store: store,
            policy: policy,
            insecure: insecure,
            credentials: credentials,
            trust: trust,
            progress: progress
        )
    }

    private func find(_ text: String, signature: String?, acceptsID: Bool) throws -> ImageRecord {
        switch try ImageReference(text, acceptsID: acceptsID, exists: FileFetcher.isImage) {
        case .id: return try own(text)
        case .file(let path, let reference):
            let options = FetchOptions(insecureImage: insecure.contains(.image), signaturePath: signature)
            return try FileFetcher(store: store, policy: SignedImagePolicy(trust.signatures)).fetch(
                file: path,
                reference: reference,
                options: options,
                progress: progress
            )
        case .docker(let reference): return try obtain(reference)
        case .appc(let name): return try archives.obtain(name, text: text, signature: signature)
        case .url(let url): return try archives.obtain(url: url, signature: signature)
        }
    }

    /// An image by its id; one that another user has brought becomes this user's, checked as if it came from elsewhere.
    private func own(_ id: String) throws -> ImageRecord {
        let record = try store.image(matching: id)
        let options = FetchOptions(insecureImage: insecure.contains(.image))
        return try ImageAdoption(store: store).adopt(record, namedAs: id, options: options, progress: progress)
    }

    private func obtain(_ reference: DockerReference) throws -> ImageRecord {
        // What was fetched without anybody's word needs the user's again.
        let known = try store.image(fetchedFrom: reference.source, verified: !insecure.contains(.image))
        if policy != .update, let known { return known }
        guard policy != .never else {
            throw RktError(
                .notFound,
                "unable to fetch image from image name \"docker://\(reference)\": either image was not found in the store or "
                    + "it may not be fetched (--pull-policy=never)"
            )
        }
        let fetcher = try RegistryFetcher(
            store: store,
            insecure: insecure,
            credentials: credentials,
            directories: directories,
            keys: trust.keys,
            note: note
        )
        return try PullPolicy.naming(known) {
            try fetcher.fetch(
                reference,
                options: FetchOptions(insecureImage: insecure.contains(.image)),
                progress: progress
            )
        }
    }

    /// Hears what only somebody who looks for a fault wants to know.
    public var note: @Sendable (String) -> Void = { _ in }

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
    ///   - directory: The configured directory of stage1 images; nil for the trusted one.
    ///   - trusted: The directory whose images need no signature.
    /// - Returns: The stage1.
    /// - Throws: ``RktError`` as ``obtain(_:signature:acceptsID:)``, or when the image is no stage1.
    public func stage1(
        _ source: Stage1Choice.Source,
        directory: String? = nil,
        trusted: String
    ) throws -> Stage1Image {
        try withContext("error getting stage1 image \(source)") {
            let record = try stage1Record(source, directory: directory ?? trusted, trusted: trusted)
            try archives.complete(record)
            return try Stage1Image(try PodImage(record, in: store))
        }
    }

    private func stage1Record(_ source: Stage1Choice.Source, directory: String, trusted: String) throws -> ImageRecord {
        switch source {
        case .id(let text):
            _ = try ImageIDPrefix(text)
            return try own(text)
        case .name(let text):
            if let found = try stored(text) { return found }
            throw RktError(
                .notFound,
                "it is none of units, fly and nspawn, and there is no such image in the store that somebody has vouched for "
                    + "(--insecure-options=image takes any of that name)"
            )
        case .file(let path): return try stage1File(path, trusted: trusted)
        case .sibling(let name): return try stage1File("\(directory)/\(name)", trusted: trusted)
        case .remote(let url): return try stage1(from: url)
        case .configured(let name, let location):
            if let name, !name.hasSuffix("-dirty"), let found = try stored(name) { return found }
            guard let location else {
                throw RktError(.notFound, "it is not in the store, and the configuration gives no location")
            }
            return try location.hasPrefix("/") ? stage1File(location, trusted: trusted) : stage1(from: location)
        }
    }

    /// A stage1 from a server: fetched once, and nobody's credentials are shown for it.
    private func stage1(from url: String) throws -> ImageRecord {
        var access = self
        access.policy = .new
        access.credentials = .none
        return try access.obtain(url, acceptsID: false)
    }

    /// Those that came with rkt are as trusted as rkt.
    private func stage1File(_ path: String, trusted: String) throws -> ImageRecord {
        let own = Installation.file(path, below: trusted)
        let options = FetchOptions(insecureImage: insecure.contains(.image))
        let policy: any SignaturePolicy = own == nil ? SignedImagePolicy(trust.signatures) : InstalledPolicy()
        return try FileFetcher(store: store, policy: policy).fetch(
            file: own ?? path,
            reference: nil,
            options: options,
            progress: progress
        )
    }

    /// A stage1 by its name: what an image calls itself is worth nothing unless somebody has vouched for it.
    private func stored(_ text: String) throws -> ImageRecord? {
        if !insecure.contains(.image), let name = try? AppcImageName(text),
            let vouched = try store.image(named: name, verified: true)
        {
            return vouched
        }
        do {
            let found = try store.image(matching: text)
            let counts = insecure.contains(.image) || found.verification.isVerified || InstalledPolicy.accepted(found)
            return counts ? found : nil
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }
}
