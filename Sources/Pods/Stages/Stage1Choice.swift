internal import Diagnostics
internal import Manifests

/// Which stage1 is to run a pod, as flags or the configuration say it.
public enum Stage1Choice: Sendable, Equatable {
    /// One of rkt's own.
    case builtIn(RuntimeConfiguration.Stage1)
    /// An image.
    case image(Source)

    /// Where a stage1 image is.
    public enum Source: Sendable, Equatable, CustomStringConvertible {
        /// In the store, by its name and perhaps a version.
        case name(String)
        /// In the store, by its id.
        case id(String)
        /// In a file.
        case file(String)
        /// In a file of the directory of stage1 images.
        case sibling(String)
        /// At a URL of scheme http, https or docker.
        case remote(String)
        /// As the configuration says: in the store by its name, else in a file or at a URL.
        case configured(name: String?, location: String?)

        /// It, for errors.
        public var description: String {
            switch self {
            case .name(let text): "\(text.debugDescription) from the store"
            case .id(let text): "with ID \(text.debugDescription)"
            case .file(let path): path
            case .remote(let url): url
            case .sibling(let name): "\(name.debugDescription) of rkt's stage1-images"
            case .configured(let name?, let location?): "\(name.debugDescription) or \(location) of the configuration"
            case .configured(let name?, nil): "\(name.debugDescription) of the configuration"
            case .configured(nil, let location): "\(location ?? "") of the configuration"
            }
        }
    }

    /// The flags that choose one, of which a command takes one.
    public static let flags = ["stage1-name", "stage1-path", "stage1-hash", "stage1-from-dir", "stage1-url"]

    /// What a flag says.
    ///
    /// - Parameters:
    ///   - flag: The flag's name.
    ///   - value: Its value.
    /// - Throws: ``RktError`` with `invalidArgument`.
    public init(flag: String, _ value: String) throws {
        guard !value.isEmpty else { throw RktError(.invalidArgument, "it must not be empty") }
        guard value.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            throw RktError(.invalidArgument, "it must not contain control characters")
        }
        switch flag {
        case "stage1-path": self = .image(.file(value))
        case "stage1-hash": self = .image(.id(value))
        case "stage1-from-dir": self = .image(.sibling(value))
        case "stage1-url":
            let place = try Self.place(ofURL: value)
            self = .image(place.hasPrefix("/") ? .file(place) : .remote(place))
        default: self = Self.builtIn(named: value).map { .builtIn($0) } ?? .image(.name(value))
        }
    }

    /// The stage1 of rkt's own that a name means: this rkt's names, and those of rkt 1 for the like, in any version.
    static func builtIn(named text: String) -> RuntimeConfiguration.Stage1? {
        let name = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).first.map(String.init)
        switch name {
        case "units": return text == name ? .units : nil
        case "fly": return text == name ? .fly : nil
        case "nspawn": return text == name ? .nspawn : nil
        case "coreos.com/rkt/stage1-fly": return .fly
        case "coreos.com/rkt/stage1-coreos", "coreos.com/rkt/stage1-host", "coreos.com/rkt/stage1-src": return .nspawn
        default: return nil
        }
    }

    /// The place that a URL means.
    ///
    /// - Parameter url: The URL.
    /// - Returns: An absolute path, of what is on this machine; else the URL.
    /// - Throws: ``RktError`` with `invalidArgument` for what is no URL, or none of an image.
    static func place(ofURL url: String) throws -> String {
        guard let colon = url.firstRange(of: "://") else {
            throw RktError(.invalidArgument, "it must be a URL: file://PATH, https://HOST/NAME.aci or docker://NAME")
        }
        let scheme = url[..<colon.lowerBound].lowercased()
        guard scheme == "file" else {
            guard ["http", "https", "docker"].contains(scheme) else {
                throw RktError(.invalidArgument, "its scheme must be file, http, https or docker")
            }
            _ = try ImageReference(url, acceptsID: false) { _ in false }
            return url
        }
        var path = url[colon.upperBound...]
        if path.hasPrefix("localhost/") { path = path.dropFirst("localhost".count) }
        guard path.hasPrefix("/"), let bytes = PercentEncoding.decode(path), !bytes.contains(0),
            let decoded = String(validating: bytes, as: UTF8.self)
        else {
            throw RktError(.invalidArgument, "a file URL has an absolute path of this machine: file:///PATH")
        }
        return decoded
    }
}
