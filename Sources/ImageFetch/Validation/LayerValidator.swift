internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
internal import Manifests
internal import Synchronization

/// Checks the parts that image layouts and Docker's archives have in common.
final class LayerValidator: Sendable {
    let parts: Directory
    let check: ArchiveCheck
    /// The layers that were looked at: images may have some in common, and few bytes may name one often.
    private let seen = Mutex<Set<Seen>>([])

    private struct Seen: Hashable {
        let path: String
        let digest: Digest?
        let size: Int64?
        let diffID: Digest?
    }

    init(parts: Directory, check: ArchiveCheck) {
        self.parts = parts
        self.check = check
    }

    /// What is said about a layer.
    struct Promise {
        var digest: Digest?
        var size: Int64?
        var diffID: Digest?
        /// What it is in its image, for problems.
        var role: String
    }

    /// Opens a part; what is wrong is added.
    func open(_ path: String, _ role: String, _ found: inout ImageValidation) -> SharedFD? {
        do {
            let file = try parts.open(path, flags: O_RDONLY | O_NONBLOCK | O_NOCTTY)
            guard try FileStatus(of: file, name: path).kind == .regular else {
                found.add(path, "\(role) is not a regular file")
                return nil
            }
            return SharedFD(file)
        } catch let error as RktError where error.code == .notFound {
            found.add(path, "\(role) is missing")
        } catch {
            found.add(path, error)
        }
        return nil
    }

    /// Checks a layer: size, digest, compression, the tar in it, and what that hashes to.
    func run(_ path: String, _ promise: Promise, _ found: inout ImageValidation) throws {
        let layer = Seen(path: path, digest: promise.digest, size: promise.size, diffID: promise.diffID)
        guard seen.withLock({ $0.insert(layer).inserted }) else { return }
        guard let file = open(path, promise.role, &found) else { return }
        let outcome = try check.run(
            file.descriptor,
            as: .layer,
            name: promise.role,
            algorithms: (promise.digest?.algorithm ?? .sha256, [promise.diffID?.algorithm ?? .sha256])
        )
        if let result = outcome.result {
            compare(path, promise, (result.digest, result.size), &found)
            if let diffID = promise.diffID, let unpacked = result.contentDigests.first, unpacked != diffID {
                found.add(path, "\(promise.role) unpacks to \(unpacked), not to \(diffID) as the configuration says")
            }
        } else if let digest = promise.digest {
            compare(path, promise, try check.digest(of: file.descriptor, digest.algorithm, name: promise.role), &found)
        }
        outcome.problems.forEach { found.add(path, $0) }
    }

    private func compare(
        _ path: String,
        _ promise: Promise,
        _ there: (digest: Digest, size: Int64),
        _ found: inout ImageValidation
    ) {
        if let size = promise.size, size != there.size {
            found.add(path, "\(promise.role) has \(there.size) bytes, not \(size)")
        }
        if let digest = promise.digest, digest != there.digest {
            found.add(path, "\(promise.role) has the digest \(there.digest)")
        }
    }
}

/// Checks what `docker save` writes.
struct DockerArchiveValidator {
    private let layers: LayerValidator
    private let limits: ImageLimits

    init(parts: Directory, check: ArchiveCheck, limits: ImageLimits) {
        layers = LayerValidator(parts: parts, check: check)
        self.limits = limits
    }

    func run(_ found: inout ImageValidation) throws {
        let entries: [DockerSaveImage]
        do {
            entries = try DockerSaveImage.parse(
                try layers.parts.read("manifest.json", limit: limits.manifestBytes),
                name: "it"
            )
        } catch {
            return found.add("manifest.json", error)
        }
        for entry in entries {
            let image: OCI.Image
            do {
                let bytes = try layers.parts.read(entry.config, limit: limits.manifestBytes)
                image = try OCI.Image.parse(bytes, name: "it")
                _ = try ImageConfig(image, name: "it")
            } catch {
                found.add(entry.config, error)
                continue
            }
            let names = entry.repoTags.isEmpty ? "an image without a name" : entry.repoTags.joined(separator: ", ")
            found.images.append("\(names) (\(image.os)/\(image.architecture))")
            if image.rootfs.diffIDs.count != entry.layers.count {
                found.add(
                    entry.config,
                    "it names \(image.rootfs.diffIDs.count) layers, manifest.json \(entry.layers.count)"
                )
            }
            for (index, path) in entry.layers.enumerated() {
                let diffIDs = image.rootfs.diffIDs
                let promise = LayerValidator.Promise(
                    diffID: index < diffIDs.count ? diffIDs[index] : nil,
                    role: "layer \(index + 1)"
                )
                try layers.run(path, promise, &found)
            }
        }
    }
}
