internal import Diagnostics
internal import ImageStore
internal import LinuxOS
internal import Manifests

/// Checks an OCI image layout: all that its index leads to, on whatever platform.
struct LayoutValidator {
    private let layers: LayerValidator
    private let limits: ImageLimits

    init(parts: Directory, check: ArchiveCheck, limits: ImageLimits) {
        layers = LayerValidator(parts: parts, check: check)
        self.limits = limits
    }

    /// Indexes may hold indexes; no honest tool goes deeper than two.
    private static let depthLimit = 8

    private struct LayoutVersion: Decodable {
        let imageLayoutVersion: String
    }

    /// What was looked at already, and how many images there were.
    private struct Progress {
        var seen: Set<Digest> = []
        var images = 0
    }

    func run(_ found: inout ImageValidation) throws {
        if let bytes = read("oci-layout", &found) {
            do {
                let version = try StrictJSON.decode(LayoutVersion.self, from: bytes, name: "it").imageLayoutVersion
                if !version.hasPrefix("1.") { found.add("oci-layout", "it has the version \(version), not 1") }
            } catch {
                found.add("oci-layout", error)
            }
        }
        guard let bytes = read("index.json", &found) else { return }
        var progress = Progress()
        do {
            guard case .index(let index) = try OCI.Document(bytes, mediaType: nil, name: "it") else {
                return found.add("index.json", "it is not an image index")
            }
            for descriptor in index.manifests { try visit(descriptor, depth: 0, &progress, &found) }
        } catch let error as RktError where error.code != .noSpace {
            return found.add("index.json", error)
        }
        if progress.images == 0, found.problems.isEmpty { found.add("index.json", "it leads to no container image") }
    }

    private func read(_ path: String, _ found: inout ImageValidation) -> [UInt8]? {
        do {
            return try layers.parts.read(path, limit: limits.manifestBytes)
        } catch let error as RktError where error.code == .notFound {
            found.add(path, "is missing")
        } catch {
            found.add(path, error)
        }
        return nil
    }

    private func path(of digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    /// A document, and whether it is what its descriptor says.
    private func document(_ descriptor: OCI.Descriptor, _ role: String, _ found: inout ImageValidation) -> [UInt8]? {
        let path = path(of: descriptor.digest)
        guard descriptor.size <= limits.manifestBytes else {
            found.add(path, "\(role) is announced with \(descriptor.size) bytes, more than \(limits.manifestBytes)")
            return nil
        }
        guard let bytes = read(path, &found) else { return nil }
        let count = found.problems.count
        if bytes.count != descriptor.size {
            found.add(path, "\(role) has \(bytes.count) bytes, not \(descriptor.size)")
        }
        if let digest = try? ContentHash.digest(descriptor.digest.algorithm, of: bytes), digest != descriptor.digest {
            found.add(path, "\(role) has the digest \(digest)")
        }
        // What nobody has vouched for is not parsed.
        return found.problems.count == count ? bytes : nil
    }

    private func visit(
        _ descriptor: OCI.Descriptor,
        depth: Int,
        _ progress: inout Progress,
        _ found: inout ImageValidation
    ) throws {
        guard OCI.MediaType.isIndex(descriptor.mediaType) || OCI.MediaType.isManifest(descriptor.mediaType) else {
            return
        }
        guard progress.seen.insert(descriptor.digest).inserted else { return }
        let path = path(of: descriptor.digest)
        guard depth < Self.depthLimit else { return found.add(path, "it is an index too deep in others") }
        let isIndex = OCI.MediaType.isIndex(descriptor.mediaType)
        guard let bytes = document(descriptor, isIndex ? "the index" : "the manifest", &found) else { return }
        do {
            switch try OCI.Document(bytes, mediaType: descriptor.mediaType, name: "it") {
            case .index(let index):
                for next in index.manifests { try visit(next, depth: depth + 1, &progress, &found) }
            case .manifest(let manifest):
                progress.images += 1
                try validate(manifest, descriptor, &found)
            }
        } catch let error as RktError
            where error.code == .unsupported && (depth > 0 || progress.images > 0 || !descriptor.mayBeImage)
        {
            // Beside an image there may be what is none, such as its signature.
            return
        } catch let error as RktError where error.code != .noSpace {
            found.add(path, error)
        }
    }

    private func validate(
        _ manifest: OCI.Manifest,
        _ descriptor: OCI.Descriptor,
        _ found: inout ImageValidation
    ) throws {
        var diffIDs: [Digest]?
        let configPath = path(of: manifest.config.digest)
        if let bytes = document(manifest.config, "the configuration", &found) {
            do {
                let image = try OCI.Image.parse(bytes, name: "it")
                _ = try ImageConfig(image, name: "it")
                diffIDs = image.rootfs.diffIDs
                let name = descriptor.names.last ?? "\(descriptor.digest)"
                let platform = OCI.Platform(os: image.os, architecture: image.architecture, variant: image.variant)
                found.images.append("\(name) (\(platform))")
            } catch {
                found.add(configPath, error)
            }
        }
        if let diffIDs, diffIDs.count != manifest.layers.count {
            found.add(configPath, "it names \(diffIDs.count) layers, the manifest \(manifest.layers.count)")
        }
        for (index, layer) in manifest.layers.enumerated() {
            let promise = LayerValidator.Promise(
                digest: layer.digest,
                size: layer.size,
                diffID: diffIDs.flatMap { index < $0.count ? $0[index] : nil },
                role: "layer \(index + 1)"
            )
            try layers.run(path(of: layer.digest), promise, &found)
        }
    }
}
