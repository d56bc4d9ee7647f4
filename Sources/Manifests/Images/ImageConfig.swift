internal import Diagnostics

/// How to run an image, in one form for OCI, Docker and appc images.
public struct ImageConfig: Sendable, Hashable {
    /// The image's own name; only appc images have one inside.
    public var name: String?
    /// The program and its fixed arguments (appc: `exec`; OCI: `Entrypoint`).
    public var entrypoint: [String] = []
    /// Further arguments behind these (OCI: `Cmd`; appc: none). A user's arguments do not replace them: they follow,
    /// and only another program (`--exec`) takes the place of both.
    public var cmd: [String] = []
    /// The environment in order, each name once.
    public var environment: [NameValue] = []
    /// Where the app starts; absolute, `/` when the image does not say.
    public var workingDirectory = "/"
    /// The user: a name, a number, or (appc) a path whose owner it is. `0` when the image does not say.
    public var user = "0"
    /// The group, likewise; nil for the user's own.
    public var group: String?
    /// Further groups by number.
    public var supplementaryGroups: [UInt32] = []
    /// The ports the app listens on.
    public var ports: [AppcApp.Port] = []
    /// Where the image wants volumes.
    public var mountPoints: [AppcApp.MountPoint] = []
    /// The signal that asks the app to end (`SIGTERM`, `15`); nil for the default.
    public var stopSignal: String?
    /// The image's labels.
    public var labels: [NameValue] = []
    /// The image's annotations.
    public var annotations: [NameValue] = []
    /// Limits and permissions of an appc app.
    public var isolators: [AppcIsolator] = []
    /// Commands around the life of an appc app.
    public var eventHandlers: [AppcApp.EventHandler] = []
    /// The operating system (`linux`), empty when the image does not say.
    public var os = ""
    /// The processor architecture in Go's words (`amd64`), empty when the image does not say.
    public var architecture = ""
    /// When the image was made, RFC 3339.
    public var created: String?

    /// The image's whole command line: a user's arguments follow it.
    public var command: [String] { entrypoint + cmd }

    /// Takes over an appc manifest.
    ///
    /// - Parameter manifest: The manifest, validated.
    public init(_ manifest: AppcImageManifest) {
        name = manifest.name.description
        labels = manifest.labels ?? []
        annotations = manifest.annotations ?? []
        os = manifest.label("os") ?? ""
        architecture = Self.goArchitecture(manifest.label("arch") ?? "")
        created = annotations.first { $0.name == "created" }?.value
        guard let app = manifest.app else { return }
        entrypoint = app.exec
        environment = app.environment ?? []
        if let directory = app.workingDirectory, !directory.isEmpty { workingDirectory = directory }
        user = app.user
        group = app.group
        supplementaryGroups = app.supplementaryGIDs ?? []
        ports = app.ports ?? []
        mountPoints = app.mountPoints ?? []
        isolators = app.isolators ?? []
        eventHandlers = app.eventHandlers ?? []
    }

    /// Takes over an OCI or Docker configuration.
    ///
    /// - Parameters:
    ///   - image: The configuration.
    ///   - name: What it is, for errors.
    /// - Throws: ``RktError`` with `invalidData` naming the field.
    public init(_ image: OCI.Image, name: String) throws {
        os = image.os
        architecture = image.architecture
        created = image.created
        guard let config = image.config else { return }
        entrypoint = config.entrypoint ?? []
        cmd = config.cmd ?? []
        environment = Self.environment(config.env ?? [])
        stopSignal = config.stopSignal.flatMap { $0.isEmpty ? nil : $0 }
        labels = (config.labels ?? [:]).sorted { $0.key < $1.key }.map { NameValue(name: $0.key, value: $0.value) }
        if let directory = config.workingDir, !directory.isEmpty {
            workingDirectory = directory.utf8.first == UInt8(ascii: "/") ? directory : "/\(directory)"
        }
        if let text = config.user, !text.isEmpty {
            let parts = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 1, omittingEmptySubsequences: false)
            if !parts[0].isEmpty { user = String(Substring(parts[0])) }
            if parts.count == 2, !parts[1].isEmpty { group = String(Substring(parts[1])) }
        }
        ports = try config.exposedPorts.map { try Self.port($0, name: name) }
        mountPoints = try Self.mountPoints(config.volumes, name: name)
        let strings = command + [user, group ?? "", workingDirectory] + environment.flatMap { [$0.name, $0.value] }
        guard !strings.contains(where: { $0.utf8.contains(0) }) else {
            throw RktError(.invalidData, "\(name) holds a NUL byte in its command, environment, user or directory")
        }
    }

    /// `NAME=VALUE` lines; of a name given twice the last value counts, at the place of the first. Names are bytes: two
    /// that only read the same are two.
    private static func environment(_ lines: [String]) -> [NameValue] {
        var variables: [NameValue] = []
        var places: [[UInt8]: Int] = [:]
        for line in lines {
            let bytes = line.utf8
            guard let equals = bytes.firstIndex(of: UInt8(ascii: "=")), equals != line.startIndex else { continue }
            let pair = NameValue(name: String(line[..<equals]), value: String(line[bytes.index(after: equals)...]))
            let name = Array(pair.name.utf8)
            if let place = places[name] {
                variables[place] = pair
            } else {
                places[name] = variables.count
                variables.append(pair)
            }
        }
        return variables
    }

    /// `PORT[-LAST][/PROTOCOL]`, named `PORT-PROTOCOL`.
    private static func port(_ text: String, name: String) throws -> AppcApp.Port {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let range = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false)
        let kind = parts.count == 2 ? parts[1].lowercased() : "tcp"
        guard parts.count <= 2, ["tcp", "udp", "sctp"].contains(kind), (1...2).contains(range.count),
            let first = range.first.flatMap({ Int($0) }), let last = range.last.flatMap({ Int($0) }),
            (1...65_535).contains(first), (first...65_535).contains(last)
        else {
            throw RktError(.invalidData, "\(name) exposes \(text.debugDescription), which is not PORT/PROTOCOL")
        }
        let count = last - first + 1
        return AppcApp.Port(
            name: try ACName(sanitizing: "\(range.joined(separator: "-"))-\(kind)"),
            protocol: kind,
            port: first,
            count: count == 1 ? nil : count
        )
    }

    /// Volumes, named `volume-PATH` with dashes; two paths with one such name get a number.
    private static func mountPoints(_ paths: [String], name: String) throws -> [AppcApp.MountPoint] {
        var names: Set<ACName> = []
        return try paths.map { path in
            guard path.hasPrefix("/"), !path.utf8.contains(0) else {
                throw RktError(.invalidData, "\(name) has the volume \(path.debugDescription), not an absolute path")
            }
            let base = try ACName(sanitizing: "volume-\(path)")
            var point = base
            var number = 2
            while !names.insert(point).inserted {
                point = try ACName("\(base)-\(number)")
                number += 1
            }
            return AppcApp.MountPoint(name: point, path: path)
        }
    }

    private static func goArchitecture(_ arch: String) -> String {
        switch arch {
        case "aarch64": "arm64"
        case "armv6l", "armv7l": "arm"
        case "i386": "386"
        case "x86_64": "amd64"
        default: arch
        }
    }
}
