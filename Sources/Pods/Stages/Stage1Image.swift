internal import Diagnostics
internal import FoundationEssentials
internal import ImageStore
internal import LinuxOS
internal import Manifests

/// A stage1 that is an image: an ACI whose annotations name its entry points, as rkt 1's did. What of it is in a pod's
/// directory `pod-init` makes a root of (`pod-init/Stage1Root.swift`).
public struct Stage1Image: Sendable {
    private let image: PodImage
    /// Its entry points.
    let programs: RuntimeConfiguration.Stage1Programs
    /// The version of the interface that it follows.
    let interfaceVersion: Int

    /// Its directory in a pod's.
    static let directoryName = "stage1"
    /// The directory that it has as `rkt/status` in its root.
    static let recordsName = "stage1-status"

    /// Takes an image for a stage1.
    ///
    /// - Parameter image: The image.
    /// - Throws: ``RktError`` with `invalidData`, naming the image and the annotation that is missing or wrong.
    init(_ image: PodImage) throws {
        let name = image.displayName
        func annotation(_ word: String) -> String? {
            image.record.kind == .appc ? image.config.annotations.first { $0.name == Self.prefix + word }?.value : nil
        }
        func program(_ word: String) throws -> String? {
            guard let path = annotation(word) else { return nil }
            try Self.check(program: path, of: "\(Self.prefix)\(word) of image \(name.debugDescription)")
            return path
        }
        guard let run = try program("run") else {
            let needed = "the annotation \(Self.prefix)run"
            throw RktError(.invalidData, "image \(name.debugDescription) is no stage1: it is no ACI with \(needed)")
        }
        let version = annotation("interface-version") ?? "1"
        guard let number = Int(version), number > 0 else {
            throw RktError(
                .invalidData,
                "the annotation \(Self.prefix)interface-version of image \(name.debugDescription) is no version: "
                    + version.debugDescription
            )
        }
        self.image = image
        interfaceVersion = number
        programs = RuntimeConfiguration.Stage1Programs(
            imageID: image.record.id,
            imageName: name,
            run: run,
            stop: try program("stop"),
            collect: try program("gc")
        )
    }

    private static let prefix = "coreos.com/rkt/stage1/"

    private static func check(program path: String, of annotation: String) throws {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isPlain = path.unicodeScalars.allSatisfy { $0.properties.generalCategory != .control }
        guard path.hasPrefix("/"), isPlain, !parts.contains(""), !parts.contains(".."), !parts.contains(".") else {
            throw RktError(
                .invalidData,
                "the annotation \(annotation) is no absolute path of a file: \(path.debugDescription)"
            )
        }
    }

    // MARK: Arguments

    /// What its `run` is told, without the pod's UUID at the end.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - hostname: The pod's host name.
    /// - Returns: The arguments; ones that are newer than its interface are left out.
    func arguments(_ request: PodRequest, hostname: String) -> [String] {
        var result = request.debug ? ["--debug"] : []
        result += ["--net=\(request.network.rawValue)", "--local-config=\(request.localConfiguration)"]
        if interfaceVersion >= 2 { result.append("--hostname=\(hostname)") }
        if interfaceVersion >= 4 { result.append("--dns-conf-mode=resolv=default,hosts=default") }
        if interfaceVersion >= 3 { result += Self.lifted(request).map(\.flag) }
        if interfaceVersion >= 6 { result.append("--ipc=auto") }
        return result
    }

    /// What its `gc` is told, likewise.
    func collectionArguments(_ request: PodRequest) -> [String] {
        (request.debug ? ["--debug"] : [])
            + (interfaceVersion >= 5 ? ["--local-config=\(request.localConfiguration)"] : [])
    }

    private static func lifted(_ request: PodRequest) -> [(name: String, flag: String)] {
        let all: [(InsecureOptions, String, String)] = [
            (.capabilities, "capabilities", "--disable-capabilities-restriction"), (.paths, "paths", "--disable-paths"),
            (.seccomp, "seccomp", "--disable-seccomp"),
        ]
        return all.filter { request.insecure.contains($0.0) }.map { ($0.1, $0.2) }
    }

    /// What is asked for and cannot be told to it.
    ///
    /// - Parameter request: What is asked for.
    /// - Returns: The flags, each with the reason, for people.
    public func ignored(_ request: PodRequest) -> [String] {
        let reason = "stage1 \(programs.imageName) has interface version \(interfaceVersion)"
        var result: [String] = []
        if interfaceVersion < 2, request.hostname != nil { result.append("--hostname: \(reason)") }
        if interfaceVersion < 3 {
            result += Self.lifted(request).map { "--insecure-options=\($0.name): \(reason)" }
        }
        return result
    }

    /// The isolators of an app for the pod manifest: the image's, and those that were asked for instead.
    static func isolators(of app: PodRequest.App, _ config: ImageConfig) -> [AppcIsolator]? {
        var result = config.isolators
        func replace(_ names: [String], by isolator: AppcIsolator) {
            result.removeAll { names.contains($0.name) }
            result.append(isolator)
        }
        let sets = ["os/linux/capabilities-retain-set", "os/linux/capabilities-remove-set"]
        for (name, list) in zip(sets, [app.capabilitiesToRetain, app.capabilitiesToRemove]) {
            guard let list else { continue }
            let value = JSONValue.object(["set": .array(list.map { .string($0) })])
            replace(sets, by: AppcIsolator(name: name, value: value))
        }
        if let adjustment = app.oomScoreAdjustment {
            let name = "os/linux/oom-score-adj"
            replace([name], by: AppcIsolator(name: name, value: .integer(Int64(adjustment))))
        }
        return result.isEmpty ? nil : result
    }

    // MARK: In a pod's directory

    /// Lays out what starting and clearing up the pod needs.
    ///
    /// - Parameters:
    ///   - pod: The pod's directory.
    ///   - request: What is asked for.
    ///   - hostname: The pod's host name.
    /// - Throws: ``RktError`` when something cannot be written.
    func layOut(in pod: Directory, request: PodRequest, hostname: String) throws {
        // What it leaves there may be set-uid: root only.
        try pod.makeDirectory(Self.directoryName, mode: 0o700)
        try pod.makeDirectory(Self.recordsName, mode: 0o750)
        let stage1 = try pod.directory(Self.directoryName)
        for name in ["upper", "work", "rootfs"] { try stage1.makeDirectory(name, mode: 0o755) }
        try stage1.writeInPlace("layers", image.layers.reversed().map { "\($0)\n" }.joined())
        try stage1.writeInPlace("manifest", image.manifest, mode: 0o640)
        func write(_ name: String, _ words: [String]) throws {
            for word in words where word.utf8.contains(10) || word.utf8.contains(0) {
                throw RktError(
                    .invalidArgument,
                    "\(word.debugDescription) cannot be told to a stage1: it has two lines"
                )
            }
            try stage1.writeInPlace(name, words.map { "\($0)\n" }.joined())
        }
        try write("run-arguments", arguments(request, hostname: hostname))
        try write("gc-arguments", collectionArguments(request))
        // In the stage1's root, whatever the image has at these places.
        for path in ["opt/stage2", "rkt/status"] { try Self.ensure("upper/\(path)", in: stage1) }
        try pod.makeDirectory("appsinfo", mode: 0o750)
    }

    /// Lays out what the stage1 looks for of an app.
    ///
    /// - Parameters:
    ///   - app: The app's name.
    ///   - image: Its image.
    ///   - pod: The pod's directory.
    /// - Throws: ``RktError`` when something cannot be written.
    func layOut(_ app: String, _ image: PodImage, in pod: Directory) throws {
        let manifest = try Self.appcManifest(of: image, app: app)
        let place = "\(Self.directoryName)/upper/opt/stage2/\(app)"
        try Self.ensure("\(place)/rootfs", in: pod)
        try pod.writeInPlace("\(place)/manifest", manifest, mode: 0o640)
        try Self.ensure("appsinfo/\(app)", in: pod)
        try pod.writeInPlace("appsinfo/\(app)/manifest", manifest, mode: 0o640)
    }

    private static func ensure(_ path: String, in directory: Directory) throws {
        var place = ""
        for part in path.split(separator: "/") {
            place += place.isEmpty ? "\(part)" : "/\(part)"
            _ = try directory.ensureDirectory(place, mode: 0o755)
        }
    }

    /// An image's manifest as appc has it: stage1s know no other.
    private static func appcManifest(of image: PodImage, app: String) throws -> [UInt8] {
        if image.record.kind == .appc { return image.manifest }
        let config = image.config
        var appc = AppcApp(exec: config.command, user: config.user, group: config.group ?? "0")
        appc.workingDirectory = config.workingDirectory
        appc.environment = config.environment
        let platform = [NameValue(name: "os", value: "linux")]
        let name = PodPlanning.appcName(image.displayName) ?? app
        let manifest = ConvertedManifest(name: name, labels: platform, app: config.command.isEmpty ? nil : appc)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(manifest))
    }

    private struct ConvertedManifest: Encodable {
        let acKind = "ImageManifest"
        let acVersion = "0.8.11"
        let name: String
        let labels: [NameValue]
        let app: AppcApp?
    }
}
