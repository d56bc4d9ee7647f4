/// Whether a file or directory is an image, and where it is not.
public struct ImageValidation: Sendable {
    /// The kinds of images.
    public enum Kind: String, Sendable {
        /// An appc image.
        case appc = "appc image (ACI)"
        /// An OCI image layout.
        case layout = "OCI image layout"
        /// A tar of an OCI image layout.
        case layoutArchive = "OCI image layout in a tar"
        /// What `docker save` writes.
        case dockerArchive = "docker save archive"
    }

    /// Something that is wrong.
    public struct Problem: Sendable, Hashable {
        /// Where: a file of a layout, a part of an archive.
        public let place: String
        /// What.
        public let message: String
    }

    /// What it is or is meant to be; nil when nothing tells.
    public var kind: Kind?
    /// The images in it, with their platforms.
    public var images: [String] = []
    /// What is wrong, in the order in which it was found.
    public private(set) var problems: [Problem] = []
    /// Whether there are more problems than are kept.
    public private(set) var hasMore = false

    /// The most problems that are kept.
    private static let limit = 100

    /// Makes one of nothing.
    package init() {}

    package mutating func add(_ place: String, _ message: String) {
        let problem = Problem(place: place, message: message)
        guard !problems.contains(problem) else { return }
        if problems.count < Self.limit { problems.append(problem) } else { hasMore = true }
    }

    package mutating func add(_ place: String, _ error: any Error) { add(place, "\(error)") }
}
