internal import Diagnostics

extension PodManifest {
    /// Reads a manifest.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - name: What it is, for errors.
    /// - Returns: The manifest, validated.
    /// - Throws: ``RktError`` with `invalidData` naming the field, or `limitExceeded`.
    public static func parse(_ bytes: [UInt8], name: String) throws -> PodManifest {
        let manifest = try StrictJSON.decode(PodManifest.self, from: bytes, name: name)
        try withContext("\(name) is not valid") { try manifest.validate() }
        return manifest
    }

    /// Checks what the types do not say.
    ///
    /// - Throws: ``RktError`` with `invalidData` naming the field.
    public func validate() throws {
        guard acKind == "PodManifest" else {
            throw RktError(.invalidData, "acKind is \(acKind.debugDescription), not \"PodManifest\"")
        }
        let numbers = acVersion.prefix { $0 != "-" && $0 != "+" }.split(
            separator: ".",
            omittingEmptySubsequences: false
        )
        guard numbers.count == 3, numbers.allSatisfy({ UInt32($0) != nil }) else {
            throw RktError(.invalidData, "acVersion \(acVersion.debugDescription) is not a version (MAJOR.MINOR.PATCH)")
        }
        try Self.expectOneOfEach(apps.map(\.name), "app")
        try Self.expectOneOfEach((volumes ?? []).map(\.name), "volume")
        for volume in volumes ?? [] { try volume.validate() }
        for app in apps { try withContext("app \"\(app.name)\"") { try validate(app) } }
        for port in ports ?? [] { try Self.validate(port) }
        try Self.validate(annotations)
    }

    private func validate(_ app: App) throws {
        try Self.expectReadable("image id") { try ImageIDPrefix(app.image.id) }
        if let name = app.image.name { try Self.expectReadable("image name") { try ACIdentifier(name) } }
        try AppcImageManifest.validateLabels(app.image.labels ?? [], platform: false)
        try app.app?.validate()
        try Self.validate(app.annotations)
        for mount in app.mounts ?? [] {
            guard mount.path.utf8.first == UInt8(ascii: "/"), !mount.path.utf8.contains(0) else {
                throw RktError(
                    .invalidData,
                    "the mount of volume \"\(mount.volume)\" has \(mount.path.debugDescription), not an absolute path"
                )
            }
            try mount.appVolume?.validate()
            guard mount.appVolume != nil || (volumes ?? []).contains(where: { $0.name == mount.volume }) else {
                throw RktError(.invalidData, "could not find volume \"\(mount.volume)\"")
            }
        }
    }

    private static func validate(_ port: ForwardedPort) throws {
        guard (1...65_535).contains(port.hostPort) else {
            throw RktError(.invalidData, "port \"\(port.name)\": hostPort \(port.hostPort) is not within 1 to 65535")
        }
        if let address = port.hostIP, !IPAddress.isValid(address) {
            throw RktError(.invalidData, "port \"\(port.name)\": hostIP \(address.debugDescription) is no IP address")
        }
        guard let inside = port.podPort else { return }
        let count = inside.count ?? 1
        // Ranges are forwarded one to one: they must fit on both sides.
        guard (1...65_535).contains(inside.port), (1...65_535).contains(count), inside.port + count <= 65_536,
            port.hostPort + count <= 65_536
        else { throw RktError(.invalidData, "port \"\(port.name)\": podPort is not within 1 to 65535") }
        guard ["tcp", "udp"].contains(inside.protocol) else {
            throw RktError(
                .invalidData,
                "port \"\(port.name)\": the protocol \(inside.protocol.debugDescription) is not tcp or udp"
            )
        }
    }

    private static func validate(_ annotations: [NameValue]?) throws {
        var names: Set<String> = []
        for annotation in annotations ?? [] {
            try expectReadable("annotations") { try ACIdentifier(annotation.name) }
            guard names.insert(annotation.name).inserted else {
                throw RktError(.invalidData, "annotations names \(annotation.name) twice")
            }
        }
    }

    /// A text that its type refuses is, here, a flaw of the document.
    private static func expectReadable<Value>(_ what: String, _ read: () throws -> Value) throws {
        do {
            _ = try read()
        } catch let error as RktError {
            throw RktError(.invalidData, what, cause: error)
        }
    }

    private static func expectOneOfEach(_ names: [ACName], _ what: String) throws {
        var seen: Set<ACName> = []
        for name in names where !seen.insert(name).inserted {
            throw RktError(.invalidData, "duplicate \(what) name \"\(name)\"")
        }
    }
}
