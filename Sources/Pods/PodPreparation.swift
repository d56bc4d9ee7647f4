internal import Diagnostics
internal import Glibc
internal import ImageStore
internal import LinuxOS
public import Manifests
internal import UnitGen

/// `prepare`: from a request to a pod directory that systemd can start.
public struct PodPreparation: Sendable {
    let data: DataDirectory
    let installation: Installation
    let stages: StageClock

    /// Prepares pods in a data directory.
    ///
    /// - Parameters:
    ///   - data: The data directory.
    ///   - installation: Where this installation's programs are.
    ///   - stages: Takes down how long each stage took.
    public init(data: DataDirectory, installation: Installation, stages: StageClock) {
        self.data = data
        self.installation = installation
        self.stages = stages
    }

    /// Prepares a pod.
    ///
    /// - Parameters:
    ///   - request: What is asked for.
    ///   - images: The image of each app, in the store.
    ///   - announce: Called with the pod's UUID once its directory exists.
    ///   - warn: Called with what the pod can do without, and lacks.
    /// - Returns: The pod, in the phase `prepared`.
    /// - Throws: ``RktError``; then nothing of the pod is left.
    public func run(
        _ request: PodRequest,
        images: [PodImage],
        announce: (PodUUID) throws -> Void,
        warn: (String) -> Void = { _ in }
    ) throws -> PodDirectory {
        let names = try appNames(request, images: images)
        let runtime = try Installation.runtime(request.runtime)
        let imageLock = try data.lockImages(.shared)
        // What the images' layers are held by goes on until the pod is on record.
        defer { withExtendedLifetime((imageLock.rawValue, images)) {} }

        let uuid = PodUUID(random: (0..<16).map { _ in UInt8.random(in: 0...255) })
        let embryo = try create(uuid)
        // Held to the end: whoever finds the pod without its lock knows that its preparation has ended early.
        let lock = try embryo.lock()
        var pod = try embryo.move(to: .prepare, in: data, durable: false)
        do {
            try announce(uuid)
            try leaveWord(of: pod, durable: request.durable, warn: warn)
            try fill(pod, request: request, images: images, names: names, runtime: runtime)
            stages.mark("bundles")
            if request.durable { try pod.directory.synchronizeFileSystem() }
            pod = try pod.move(to: .prepared, in: data, durable: request.durable)
        } catch {
            Self.discard(pod, in: data)
            throw error
        }
        withExtendedLifetime(lock.rawValue) {}
        try? PodLinks.makeRuntimeLink(uuid, to: "\(data.path)/pods/run/\(uuid)")
        stages.mark("prepared")
        return pod
    }

    /// Takes back a prepared pod that nobody has started; one that is not prepared any more is left alone.
    ///
    /// - Parameters:
    ///   - uuid: The pod.
    ///   - data: The data directory it is in.
    public static func takeBack(_ uuid: PodUUID, in data: DataDirectory) {
        guard let pod = try? PodLookup(data: data).exactly(uuid, in: [.prepared]), let lock = try? pod.lock() else {
            return
        }
        PodLinks.removeRuntimeLink(uuid)
        try? PodJournal.removeAll(of: uuid)
        discard(pod, in: data)
        withExtendedLifetime(lock.rawValue) {}
    }

    private func create(_ uuid: PodUUID) throws -> PodDirectory {
        let parent = try data.ensurePhase(.embryo)
        try parent.makeDirectory(uuid.description, mode: 0o750)
        let directory = try parent.directory(uuid.description)
        return PodDirectory(uuid: uuid, phase: .embryo, directory: directory)
    }

    /// So that the pod's unit finds it after the next boot too. A pod that is run at once can do without.
    private func leaveWord(of pod: PodDirectory, durable: Bool, warn: (String) -> Void) throws {
        do {
            try data.links.make(pod.uuid, to: data, durable: durable)
        } catch {
            if durable { throw error }
            warn("systemctl can start pod \"\(pod.uuid)\" only until the next boot: \(error)")
        }
    }

    private static func discard(_ pod: PodDirectory, in data: DataDirectory) {
        try? data.links.remove(pod.uuid, to: data)
        guard let garbage = try? pod.move(to: .garbage, in: data, durable: false) else { return }
        try? data.phase(.garbage)?.removeTree(garbage.uuid.description)
    }

    private func appNames(_ request: PodRequest, images: [PodImage]) throws -> [String] {
        try request.validate()
        var names: [String] = []
        for (app, image) in zip(request.apps, images) {
            let name: ACName
            if let given = app.name {
                name = try withContext("invalid app name \"\(given)\"") { try ACName(given) }
            } else {
                name = try image.defaultAppName()
            }
            guard !names.contains(name.description) else {
                throw RktError(.invalidArgument, "error: multiple apps with name \(name)")
            }
            names.append(name.description)
        }
        return names
    }

    // MARK: Filling the directory

    private func fill(
        _ pod: PodDirectory,
        request: PodRequest,
        images: [PodImage],
        names: [String],
        runtime: String
    ) throws {
        let directory = pod.directory
        try directory.makeDirectory("rootfs", mode: 0o755)
        // What apps leave here may be set-uid, and bundles hold secrets: root only.
        try directory.makeDirectory("apps", mode: 0o700)
        let apps = try directory.directory("apps")

        var plans: [AppPlan] = []
        for (index, app) in request.apps.enumerated() {
            let bundle = try AppBundle(in: apps, name: names[index], image: images[index])
            plans.append(try AppPlanning.plan(app, in: request, bundle: bundle))
        }
        let isFly = request.stage1 == .fly
        // On the host, its name and its network are the pod's.
        var configuration = RuntimeConfiguration(
            hostname: isFly ? "" : request.hostname ?? "rkt-\(pod.uuid)",
            stage1: request.stage1,
            network: isFly ? .host : request.network,
            journal: request.stage1 == .image ? .host : request.journal
        )
        configuration.programs = request.stage1Image?.programs
        if request.privateUsers { configuration.userRange = try UserRange.choose(in: data) }
        if request.stage1 == .nspawn { configuration.runtime = runtime }
        configuration.capabilities = Self.unusualCapabilities(plans)
        let plan = PodPlanning.plan(
            pod: pod,
            data: data,
            configuration: configuration,
            apps: plans,
            podInit: installation.podInit,
            runtime: runtime
        )
        for (app, json) in request.stage1 == .image ? [] : try plan.runtimeConfigurations() {
            try apps.directory(app.name.description).writeInPlace("config.json", json, mode: 0o640)
        }
        let units = try plan.units().map { ("systemd/system/\($0.name)", $0.file.description) }
        let hostFiles = HostFiles(units + plan.journalConfiguration().map { ($0.path, $0.content) })
        let machineFiles = HostFiles(try plan.machineRoot().map { ($0.path, $0.content) })
        for (name, files) in [(HostFiles.fileName, hostFiles), (HostFiles.machineFileName, machineFiles)]
        where !files.files.isEmpty {
            try directory.writeInPlace(name, files.encoded())
        }
        if let first = plans.first {
            let filters = [
                ("filter", plan.filterConfiguration(for: first)),
                ("machine-filter", plan.machineFilterConfiguration()),
            ]
            for case (let name, let filter?) in filters {
                try directory.makeDirectory(name, mode: 0o750)
                try directory.directory(name).writeInPlace("config.json", filter)
            }
        }
        try directory.writeInPlace(RuntimeConfiguration.fileName, configuration.encoded())
        try directory.writeInPlace("overview", overview(names: names, images: images))
        try directory.writeInPlace(
            "pod",
            try PodPlanning.manifest(request: request, plan: plan, images: images).encoded(),
            mode: 0o640
        )
        if let stage1 = request.stage1Image {
            try stage1.layOut(in: directory, request: request, hostname: configuration.hostname)
            for (name, image) in zip(names, images) { try stage1.layOut(name, image, in: directory) }
        }
        try directory.writeInPlace("pod-created", "")
    }

    private static func unusualCapabilities(_ apps: [AppPlan]) -> [String] {
        let all = Set(apps.flatMap(\.capabilities)).subtracting(Capability.defaults)
        return all.map(\.description).sorted()
    }

    private func overview(names: [String], images: [PodImage]) -> String {
        zip(names, images).map { "\($0)\t\($1.displayName)\t\($1.record.id)\n" }.joined()
    }
}
