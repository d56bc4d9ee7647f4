internal import Diagnostics

/// The manifest of an appc image (ACI).
public struct AppcImageManifest: Sendable, Hashable, Codable {
    /// Always `ImageManifest`.
    public var acKind: String
    /// The version of the specification the manifest follows.
    public var acVersion: String
    /// The image's name.
    public var name: ACIdentifier
    /// What tells images of one name apart: `version`, `os`, `arch` and others.
    public var labels: [NameValue]?
    /// How to run the image; nil for one that only serves as a dependency.
    public var app: AppcApp?
    /// Images below this one, the lowest first.
    public var dependencies: [Dependency]?
    /// The only absolute paths that may stay in the final tree; all when nil or empty.
    public var pathWhitelist: [String]?
    /// Free annotations.
    public var annotations: [NameValue]?

    /// An image that this one is built on.
    public struct Dependency: Sendable, Hashable, Codable {
        /// The image's name.
        public var imageName: ACIdentifier
        /// The image's ID, when it must be exactly that.
        public var imageID: String?
        /// Labels it must have.
        public var labels: [NameValue]?
        /// Its size in bytes, when it must be exactly that.
        public var size: Int64?
    }

    /// Reads a manifest.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - name: What it is, for errors.
    /// - Returns: The manifest, validated.
    /// - Throws: ``RktError`` with `invalidData` naming the field, or `limitExceeded`.
    public static func parse(_ bytes: [UInt8], name: String) throws -> AppcImageManifest {
        let manifest = try StrictJSON.decode(AppcImageManifest.self, from: bytes, name: name)
        try withContext("\(name) is not valid") { try manifest.validate() }
        return manifest
    }

    /// The value of a label.
    ///
    /// - Parameter name: The label's name.
    /// - Returns: Its value, nil when there is no such label.
    public func label(_ name: String) -> String? {
        labels?.first { $0.name == name }?.value
    }

    /// Checks what the types do not say.
    ///
    /// - Throws: ``RktError`` with `invalidData` naming the field.
    public func validate() throws {
        guard acKind == "ImageManifest" else {
            throw RktError(.invalidData, "acKind is \(acKind.debugDescription), not \"ImageManifest\"")
        }
        guard Self.isSemanticVersion(acVersion) else {
            throw RktError(.invalidData, "acVersion \(acVersion.debugDescription) is not a version (MAJOR.MINOR.PATCH)")
        }
        try Self.validateLabels(labels ?? [], platform: true)
        try app?.validate()
        for dependency in dependencies ?? [] {
            try withContext("dependency \(dependency.imageName)") {
                try Self.validateLabels(dependency.labels ?? [], platform: false)
                if let id = dependency.imageID { _ = try ImageIDPrefix(id) }
                if let size = dependency.size, size < 0 { throw RktError(.invalidData, "size \(size) is negative") }
            }
        }
        for path in pathWhitelist ?? [] where !path.hasPrefix("/") || path.utf8.contains(0) {
            throw RktError(.invalidData, "pathWhitelist has \(path.debugDescription), not an absolute path")
        }
        try validateAnnotations()
    }

    private func validateAnnotations() throws {
        var names: Set<String> = []
        for annotation in annotations ?? [] {
            _ = try withContext("annotations") { try ACIdentifier(annotation.name) }
            guard names.insert(annotation.name).inserted else {
                throw RktError(.invalidData, "annotations names \(annotation.name) twice")
            }
            switch annotation.name {
            case "created":
                guard Self.isTimestamp(annotation.value) else {
                    throw RktError(.invalidData, "annotation created is not an RFC 3339 time")
                }
            case "homepage", "documentation":
                guard annotation.value.hasPrefix("http://") || annotation.value.hasPrefix("https://") else {
                    throw RktError(.invalidData, "annotation \(annotation.name) is not an http or https URL")
                }
            default: break
            }
        }
    }

    static func validateLabels(_ labels: [NameValue], platform: Bool) throws {
        var names: Set<String> = []
        for label in labels {
            _ = try withContext("labels") { try ACIdentifier(label.name) }
            guard label.name != "name" else { throw RktError(.invalidData, "a label must not be called \"name\"") }
            guard names.insert(label.name).inserted else {
                throw RktError(.invalidData, "labels names \(label.name) twice")
            }
        }
        guard platform else { return }
        let os = labels.first { $0.name == "os" }?.value
        let arch = labels.first { $0.name == "arch" }?.value
        guard let os else {
            if arch != nil { throw RktError(.invalidData, "label arch without label os") }
            return
        }
        guard let known = AppcPlatform.architectures[os] else {
            throw RktError(.invalidData, "bad os \(os.debugDescription) (must be one of: \(AppcPlatform.systems))")
        }
        if let arch, !known.contains(arch) {
            throw RktError(
                .invalidData,
                "bad arch \(arch.debugDescription) for \(os) (must be one of: \(known.joined(separator: ", ")))"
            )
        }
    }

    /// `MAJOR.MINOR.PATCH` with an optional `-PRERELEASE` and `+BUILD`.
    private static func isSemanticVersion(_ text: String) -> Bool {
        let core = text.prefix { $0 != "-" && $0 != "+" }
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false)
        let rest = text.dropFirst(core.count)
        return numbers.count == 3 && numbers.allSatisfy { !$0.isEmpty && $0.utf8.allSatisfy { (48...57).contains($0) } }
            && rest.count != 1
            && rest.utf8.allSatisfy {
                ("0"..."9").contains(Character(UnicodeScalar($0))) || "+-.".utf8.contains($0)
                    || (65...90).contains($0) || (97...122).contains($0)
            }
    }

    /// Whether a text is `YYYY-MM-DDTHH:MM:SS[.FRACTION](Z|+HH:MM|-HH:MM)`.
    ///
    /// - Parameter text: The text.
    /// - Returns: Whether it is.
    public static func isTimestamp(_ text: String) -> Bool {
        let bytes = [UInt8](text.utf8)
        func matches(_ pattern: String, at start: Int) -> Bool {
            let pattern = [UInt8](pattern.utf8)
            guard start + pattern.count <= bytes.count else { return false }
            return zip(pattern, bytes[start...]).allSatisfy { want, byte in
                want == UInt8(ascii: "0") ? (48...57).contains(byte) : want == byte
            }
        }
        guard matches("0000-00-00T00:00:00", at: 0) || matches("0000-00-00t00:00:00", at: 0) else { return false }
        var end = 19
        if end < bytes.count, bytes[end] == UInt8(ascii: ".") {
            end += 1
            let digits = bytes[end...].prefix { (48...57).contains($0) }.count
            guard digits > 0 else { return false }
            end += digits
        }
        let zone = bytes.count - end
        if zone == 1 { return bytes[end] == UInt8(ascii: "Z") || bytes[end] == UInt8(ascii: "z") }
        return zone == 6 && (matches("+00:00", at: end) || matches("-00:00", at: end))
    }
}

/// The operating systems and architectures in appc's words.
public enum AppcPlatform {
    /// The architectures of each operating system.
    public static let architectures: [String: [String]] = [
        "linux": ["aarch64", "aarch64_be", "amd64", "armv6l", "armv7b", "armv7l", "i386", "ppc64", "ppc64le", "s390x"],
        "freebsd": ["amd64", "arm", "i386"],
        "darwin": ["i386", "x86_64"],
    ]

    static let systems = architectures.keys.sorted().joined(separator: ", ")

    /// The architecture of a platform in appc's words.
    ///
    /// - Parameter platform: The platform in Go's words.
    /// - Returns: The word for the `arch` label.
    public static func architecture(of platform: OCI.Platform) -> String {
        switch (platform.architecture, platform.variant) {
        case ("arm64", _): "aarch64"
        case ("arm64be", _): "aarch64_be"
        case ("arm", "v6"): "armv6l"
        case ("arm", _): "armv7l"
        case ("armbe", _): "armv7b"
        case ("386", _): "i386"
        default: platform.architecture
        }
    }
}
