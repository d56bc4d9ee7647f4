internal import Diagnostics

extension OCI {
    /// What an image runs on, in Go's words.
    public struct Platform: Sendable, Hashable, Codable, CustomStringConvertible {
        /// The operating system (`linux`).
        public var os: String
        /// The processor architecture (`amd64`).
        public var architecture: String
        /// The variant of the architecture (`v7`).
        public var variant: String?

        /// Makes a platform.
        ///
        /// - Parameters:
        ///   - os: The operating system.
        ///   - architecture: The processor architecture.
        ///   - variant: The variant of the architecture.
        public init(os: String, architecture: String, variant: String? = nil) {
            self.os = os
            self.architecture = architecture
            self.variant = variant
        }

        /// What this program was built for.
        public static let host: Platform = {
            #if arch(x86_64)
            return Platform(os: "linux", architecture: "amd64")
            #elseif arch(arm64)
            return Platform(os: "linux", architecture: "arm64", variant: "v8")
            #elseif arch(arm)
            return Platform(os: "linux", architecture: "arm", variant: "v7")
            #elseif arch(i386)
            return Platform(os: "linux", architecture: "386")
            #elseif arch(powerpc64le)
            return Platform(os: "linux", architecture: "ppc64le")
            #elseif arch(s390x)
            return Platform(os: "linux", architecture: "s390x")
            #elseif arch(riscv64)
            return Platform(os: "linux", architecture: "riscv64")
            #else
            return Platform(os: "linux", architecture: "unknown")
            #endif
        }()

        /// `OS/ARCHITECTURE[/VARIANT]`.
        public var description: String { "\(os)/\(architecture)" + (variant.map { "/\($0)" } ?? "") }

        /// How well an image for `other` runs here.
        ///
        /// - Parameter other: What the image is for.
        /// - Returns: Nil when it does not run; among those that do, the largest is the best.
        public func rank(of other: Platform) -> Int? {
            guard os == other.os, architecture == other.architecture else { return nil }
            let ours = level(of: variant)
            let theirs = level(of: other.variant)
            guard let ours, let theirs else { return variant == other.variant ? 0 : nil }
            return theirs <= ours ? theirs : nil
        }

        /// `vN` as N; without a variant what the architecture means by that.
        private func level(of variant: String?) -> Int? {
            guard let variant, !variant.isEmpty else {
                switch architecture {
                case "arm64": return 8
                case "arm": return 7
                default: return 1
                }
            }
            guard variant.hasPrefix("v") else { return nil }
            return Int(variant.dropFirst())
        }
    }
}

extension OCI.Index {
    /// The manifest or nested index to use on a platform: the best match, the first among equals.
    ///
    /// - Parameters:
    ///   - platform: Where the image is to run.
    ///   - reference: Only those whose `org.opencontainers.image.ref.name` (or full image name) is this; all when nil.
    ///   - name: What the index is, for errors.
    /// - Returns: The descriptor; one without a platform is taken when it is the only one left.
    /// - Throws: ``RktError`` with `notFound` when nothing matches, `invalidArgument` when several names could be meant.
    public func select(for platform: OCI.Platform, reference: String?, name: String) throws -> OCI.Descriptor {
        let images = manifests.filter(\.mayBeImage)
        var candidates = images
        if let reference {
            candidates = candidates.filter { $0.names.contains(reference) }
            guard !candidates.isEmpty else {
                let known = Set(images.flatMap(\.names)).sorted().joined(separator: ", ")
                throw RktError(
                    .notFound,
                    "\(name) has no image named \(reference); it has: \(known.isEmpty ? "no names" : known)"
                )
            }
        } else {
            let groups = Set(candidates.map(\.names))
            if groups.count > 1, !groups.contains([]) {
                let known = Set(candidates.flatMap(\.names)).sorted().joined(separator: ", ")
                throw RktError(
                    .invalidArgument,
                    "\(name) has several images; choose one with '#NAME' at its end: \(known)"
                )
            }
        }
        let ranked = candidates.compactMap { candidate in
            candidate.platform.flatMap { platform.rank(of: $0) }.map { (rank: $0, candidate: candidate) }
        }
        if let best = ranked.max(by: { $0.rank < $1.rank })?.rank,
            let match = ranked.first(where: { $0.rank == best })
        {
            return match.candidate
        }
        let unnamed = candidates.filter { $0.platform == nil }
        if unnamed.count == 1 { return unnamed[0] }
        let offered = candidates.compactMap(\.platform).map(\.description).joined(separator: ", ")
        throw RktError(
            .notFound,
            "\(name) has no image for \(platform)" + (offered.isEmpty ? "" : "; it has: \(offered)")
        )
    }
}

extension OCI.Descriptor {
    /// The names an index gives to the image.
    public var names: [String] {
        ["io.containerd.image.name", "org.opencontainers.image.ref.name"].compactMap { annotations?[$0] }
    }
}

extension OCI.Descriptor {
    /// The annotation by which cosign tells apart what it has saved.
    private static let kindAnnotation = "kind"
    private static let kindPrefix = "dev.cosignproject.cosign/"

    /// What cosign says that this is in a layout that it has saved: `image`, `imageIndex`, `sigs` or `atts`.
    public var cosignKind: String? {
        guard let kind = annotations?[Self.kindAnnotation], kind.hasPrefix(Self.kindPrefix) else { return nil }
        return String(kind.dropFirst(Self.kindPrefix.count))
    }

    /// Whether an index can mean an image by this, and not what belongs to one: its signatures, and other documents about it.
    public var mayBeImage: Bool {
        guard OCI.MediaType.isIndex(mediaType) || OCI.MediaType.isManifest(mediaType) else { return false }
        // Tools that do not know better put the type of the configuration there.
        if let artifactType, !OCI.MediaType.isConfig(artifactType) { return false }
        if let cosignKind { return ["image", "imageIndex"].contains(cosignKind) }
        return !names.contains(where: Self.isTagOfDigest)
    }

    /// Whether a name is a tag of something about an image: `ALGORITHM-HEX`, alone or with what it is (`.sig`).
    private static func isTagOfDigest(_ name: String) -> Bool {
        guard let tag = name.split(separator: ":").last?.split(separator: "/").last else { return false }
        let parts = tag.prefix { $0 != "." }.split(separator: "-", maxSplits: 1).map(String.init)
        guard parts.count == 2, let algorithm = Digest.Algorithm(rawValue: parts[0]) else { return false }
        return (try? Digest(algorithm, hex: parts[1])) != nil
    }
}
