internal import Diagnostics
internal import ImageFetch
internal import ImageStore
internal import Manifests

/// Gets ACIs that have a name or a URL, and what they are built on: from the store, or from where they are published.
struct ArchiveAccess: Sendable {
    let store: ImageStore
    let policy: ImageAccess.PullPolicy
    let insecure: InsecureOptions
    let credentials: any DomainCredentialSource
    let trust: ImageTrust
    let progress: ProgressSink?

    /// Whether an image counts only when somebody has vouched for it.
    private var needsWord: Bool { !insecure.contains(.image) }

    /// What an image must have to run here, where nobody says otherwise.
    private static let hostLabels = [
        NameValue(name: "os", value: "linux"),
        NameValue(name: "arch", value: AppcPlatform.architecture(of: .host)),
    ]

    /// A name with what an image must have to run here.
    static func full(_ name: AppcImageName) throws -> AppcImageName {
        try AppcImageName(name: name.name, labels: name.labels + hostLabels.filter { name.label($0.name) == nil })
    }

    /// An image by its name.
    ///
    /// - Parameters:
    ///   - name: The name.
    ///   - text: The same, as the user wrote it; what is called so in the store may be no ACI.
    ///   - signature: The path of its detached signature.
    /// - Returns: The image's record.
    /// - Throws: ``RktError`` naming the image.
    func obtain(_ name: AppcImageName, text: String, signature: String?) throws -> ImageRecord {
        let full = try Self.full(name)
        let known = try store.image(named: full, verified: needsWord)
        if policy != .update, let found = try known ?? stored(text) { return found }
        guard policy != .never else { throw missing("name", text) }
        // A name that no host has was most likely meant as something else.
        let isShort = !name.name.description.contains { $0 == "." || $0 == "/" }
        let unvouched = unvouchedHint(text)
        let what = "unable to fetch image from image name \(text.debugDescription)"
        if isShort, let unvouched { throw RktError(.permissionDenied, "\(what): \(unvouched)") }
        // The reader of one line sees only this and the last cause.
        let tag = name.label("version").map { ":\($0)" } ?? ""
        let hint = isShort ? "an image of a registry is docker://\(name.name)\(tag)" : unvouched
        return try withContext(hint.map { "\(what) (\($0))" } ?? what) {
            try ImageAccess.PullPolicy.naming(known) {
                try fetcher().fetch(full, options: options(signature), progress: progress)
            }
        }
    }

    /// An image by its URL.
    ///
    /// - Parameters:
    ///   - url: The URL.
    ///   - signature: The path of its detached signature.
    /// - Returns: The image's record.
    /// - Throws: ``RktError`` naming the URL.
    func obtain(url: String, signature: String?) throws -> ImageRecord {
        let known = try store.image(fetchedFrom: try ArchiveFetcher.reference(url), verified: needsWord)
        if policy != .update, let known { return known }
        guard policy != .never else { throw missing("URL", url) }
        return try ImageAccess.PullPolicy.naming(known) {
            try fetcher().fetch(url: url, options: options(signature), progress: progress)
        }
    }

    /// Sees to it that the images are there which one is built on.
    ///
    /// - Parameter record: The image.
    /// - Throws: ``RktError`` naming what is missing, and who needs it.
    func complete(_ record: ImageRecord) throws {
        guard record.kind == .appc else { return }
        try ImageDependencies(store: store) { name, dependency in
            // What its digest names, nobody can have put there.
            if let id = dependency.imageID, id.utf8.count >= Self.wholeID, let found = try? store.image(matching: id),
                found.isTrusted
            {
                return found
            }
            let known = try store.image(named: name, verified: needsWord)
            if policy != .update, let known { return known }
            guard policy != .never else { throw missing("name", "\(name)") }
            do {
                return try fetcher().fetch(name, more: Self.hostLabels, options: options(nil), progress: progress)
            } catch let error as RktError where [.notFound, .unavailable].contains(error.code) {
                // What nobody publishes may have come from a file.
                guard let known else { throw error }
                return known
            }
        }
        .complete(record)
    }

    /// The length of an id that leaves nothing out.
    private static let wholeID = "sha512-".utf8.count + 64

    private func options(_ signature: String?) -> FetchOptions {
        FetchOptions(insecureImage: insecure.contains(.image), signaturePath: signature)
    }

    private func fetcher() throws -> ArchiveFetcher {
        try ArchiveFetcher(
            store: store,
            settings: HTTPSettings(insecure),
            credentials: credentials,
            signatures: trust.signatures,
            findKeys: { name in try trust.finding?.run(for: name, trust, insecure) },
            notice: { trust.finding?.notice("image: \($0)") }
        )
    }

    /// What is called so in the store, whatever it is.
    private func stored(_ text: String) throws -> ImageRecord? {
        do {
            let found = try store.image(matching: text)
            return !needsWord || Self.isGood(found, text) ? found : nil
        } catch let error as RktError where error.code == .notFound {
            return nil
        }
    }

    /// Whether somebody has vouched for an image under that name. Of an appc image the name is part of what is signed; any
    /// other may be called anything, and it is the place it came from that counts.
    private static func isGood(_ image: ImageRecord, _ text: String) -> Bool {
        if image.kind == .appc { return image.verification.isVerified }
        guard let wanted = try? DockerReference(text) else { return false }
        return (image.sources ?? []).contains { $0.isVerified && (try? DockerReference($0.reference)) == wanted }
    }

    private func missing(_ what: String, _ text: String) -> RktError {
        let hint = unvouchedHint(text).map { "; \($0)" } ?? ""
        return RktError(
            .notFound,
            "unable to fetch image from image \(what) \(text.debugDescription): either image was not found in the store or it "
                + "may not be fetched (--pull-policy=never)\(hint)"
        )
    }

    /// What to say of an image in the store that is called so and does not count; nil when there is none.
    private func unvouchedHint(_ text: String) -> String? {
        guard needsWord, let image = try? store.image(matching: text), !Self.isGood(image, text) else { return nil }
        return "the one in the store nobody has vouched for: run it by its id \(image.id.prefix(19)), or with "
            + "--insecure-options=image"
    }
}
