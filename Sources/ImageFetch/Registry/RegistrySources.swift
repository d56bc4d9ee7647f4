internal import Diagnostics
internal import ImageStore
internal import LinuxOS
internal import Manifests
internal import Synchronization

/// A repository wherever it may be had: in its mirrors, in their order, then in the registry itself. What a mirror does
/// not have, or has wrong, the next one is asked for; what is right is told by digests alone, whoever sends it.
final class RegistrySources: Sendable {
    /// One place.
    struct Source: Sendable {
        let client: RegistryClient
        /// Its name, for notes.
        let name: String
        let isMirror: Bool
        /// Whether it is asked only for what is named by a digest.
        let onlyByDigest: Bool
    }

    private let sources: [Source]
    private let note: @Sendable (String) -> Void
    private let state = Mutex(State())

    private struct State {
        /// The mirrors that are not asked again.
        var given: Set<Int> = []
        /// The mirrors that a blob has come from, in whole or in part.
        var senders: [Digest: Set<Int>] = [:]
        /// The mirrors that have a blob wrong.
        var wrong: [Digest: Set<Int>] = [:]
    }

    /// - Parameters:
    ///   - sources: The places in their order; the last one is no mirror.
    ///   - note: Hears why a mirror was passed over.
    init(_ sources: [Source], note: @escaping @Sendable (String) -> Void) {
        self.sources = sources
        self.note = note
    }

    /// A manifest or index, and the type that the registry says it has.
    ///
    /// - Parameters:
    ///   - reference: Its tag or digest.
    ///   - limit: The most bytes.
    ///   - name: What it is, for errors.
    /// - Returns: The document as it came, not verified.
    /// - Throws: `RktError` as ``RegistryClient/manifest(_:limit:name:)`` of the last place.
    func manifest(_ reference: String, limit: Int, name: String) throws -> (bytes: [UInt8], mediaType: String?) {
        let digest = try? Digest(reference)
        return try first(digest, name) { _, source in
            let found = try source.client.manifest(reference, limit: limit, name: name)
            if source.isMirror {
                try Self.check(found.bytes, digest, name)
                // What a tag leads to could be anything, such as a page that wants somebody to log in.
                _ = try OCI.Document(found.bytes, mediaType: nil, name: name)
            }
            return found
        }
    }

    /// The lists of what refers to a manifest, of all places: a mirror may have an image without what refers to it.
    ///
    /// - Parameters:
    ///   - digest: The manifest's digest.
    ///   - limit: The most bytes of a list.
    ///   - name: What they are, for errors.
    /// - Returns: The lists as they came, not verified.
    /// - Throws: `RktError` as ``RegistryClient/referrerLists(_:limit:name:)`` of the last place, when no other has
    ///   any.
    func referrers(_ digest: Digest, limit: Int, name: String) throws -> [[UInt8]] {
        var lists: [[UInt8]] = []
        for (index, source) in sources.enumerated() where !source.isMirror || isAsked(index, digest) {
            do {
                lists += try source.client.referrerLists(digest, limit: limit, name: name)
            } catch let error as RktError where source.isMirror || !lists.isEmpty {
                note("\(source.name): \(error)")
                if source.isMirror, error.code == .unavailable { state.withLock { _ = $0.given.insert(index) } }
            }
        }
        return lists
    }

    /// A blob that is small enough for memory.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - limit: The most bytes.
    ///   - name: What it is, for errors.
    /// - Returns: The content as it came, not verified.
    /// - Throws: `RktError` as ``RegistryClient/document(_:limit:name:)`` of the last place.
    func document(_ digest: Digest, limit: Int, name: String) throws -> [UInt8] {
        try first(digest, name) { _, source in
            let bytes = try source.client.document(digest, limit: limit, name: name)
            if source.isMirror { try Self.check(bytes, digest, name) }
            return bytes
        }
    }

    /// A blob, piece by piece; where one place breaks off, the next one goes on.
    ///
    /// - Parameters:
    ///   - digest: Its digest.
    ///   - size: Its size in bytes.
    ///   - name: What it is, for errors.
    ///   - reader: Where the content goes.
    ///   - sink: Takes the content, which is not verified.
    /// - Throws: `RktError` as ``RegistryClient/blob(_:size:name:from:for:_:)`` of the last place, and what `sink`
    ///   throws.
    func blob(
        _ digest: Digest,
        size: Int64?,
        name: String,
        for reader: LocalStream?,
        _ sink: @escaping (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        /// Keeps what the sink throws apart from what a mirror does.
        struct Refusal: Error {
            let reason: any Error
        }
        var position = HTTPSession.StreamPosition()
        do {
            try first(digest, name) { index, source in
                var isNoted = !source.isMirror
                try source.client.blob(digest, size: size, name: name, from: &position, for: reader) { [self] piece in
                    // Before anybody can find it wrong.
                    if !isNoted { state.withLock { _ = $0.senders[digest, default: []].insert(index) } }
                    isNoted = true
                    do { try sink(piece) } catch { throw Refusal(reason: error) }
                }
            }
        } catch let refusal as Refusal {
            throw refusal.reason
        }
    }

    /// Says that a blob came wrong.
    ///
    /// - Parameter digest: Its digest.
    /// - Returns: Whether something of it came from a mirror, which is not asked for it again: another try is worth it.
    func isWorthAnotherTry(of digest: Digest) -> Bool {
        let senders = state.withLock { state in
            let senders = state.senders.removeValue(forKey: digest) ?? []
            state.wrong[digest, default: []].formUnion(senders)
            return senders
        }
        for index in senders.sorted() {
            note("mirror \(sources[index].name): \(digest) is not what it sends under that name")
        }
        return !senders.isEmpty
    }

    // MARK: One after the other

    private func first<R>(_ digest: Digest?, _ name: String, _ body: (Int, Source) throws -> R) throws -> R {
        for (index, source) in sources.dropLast().enumerated() where isAsked(index, digest) {
            do {
                return try body(index, source)
            } catch let error as RktError where error.code != .cancelled && error.code != .missingDependency {
                note("mirror \(source.name): \(error)")
                // Whoever does not answer is not waited for again and again.
                if error.code == .unavailable { state.withLock { _ = $0.given.insert(index) } }
            }
        }
        guard let last = sources.last else { throw RktError(.failed, "\(name) is nowhere") }
        return try body(sources.count - 1, last)
    }

    private func isAsked(_ index: Int, _ digest: Digest?) -> Bool {
        if digest == nil, sources[index].onlyByDigest { return false }
        return state.withLock { state in
            !state.given.contains(index) && !(digest.flatMap { state.wrong[$0] }?.contains(index) ?? false)
        }
    }

    private static func check(_ bytes: [UInt8], _ digest: Digest?, _ name: String) throws {
        guard let digest else { return }
        let found = try ContentHash.digest(digest.algorithm, of: bytes)
        guard found == digest else { throw RktError(.digestMismatch, "\(name) has the digest \(found)") }
    }
}
