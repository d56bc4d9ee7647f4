internal import Diagnostics
internal import Manifests
internal import UnitGen

/// From what the user asked of an app and what its image says to what it will run as.
enum AppPlanning {
    static func plan(_ app: PodRequest.App, in request: PodRequest, bundle: AppBundle) throws -> AppPlan {
        let config = bundle.image.config
        let user = try bundle.user(app.user ?? config.user, group: app.group ?? (app.user == nil ? config.group : nil))
        var plan = AppPlan(
            name: try ACName(bundle.name),
            imageName: bundle.image.displayName,
            arguments: arguments(app, config),
            environment: environment(app, in: request, config: config, user: user, name: bundle.name),
            workingDirectory: app.workingDirectory ?? config.workingDirectory,
            uid: user.uid,
            gid: user.gid
        )
        // No groups at all is something to ask for too; an image that lists none has not asked.
        let declared = config.supplementaryGroups.isEmpty ? user.supplementaryGroups : config.supplementaryGroups
        plan.supplementaryGroups = app.supplementaryGroups ?? declared
        plan.readOnlyRootFS = app.readOnlyRootFS
        plan.oomScoreAdjustment = app.oomScoreAdjustment
        if request.stage1 == .fly {
            try liftRestrictions(of: &plan)
        } else {
            plan.filtersSystemCalls = !request.insecure.contains(.seccomp)
            plan.hidesPaths = !request.insecure.contains(.paths)
            plan.capabilities = try capabilities(app, insecure: request.insecure)
        }
        if let name = config.stopSignal {
            guard let signal = SignalName.number(name) else {
                throw RktError(
                    .invalidData,
                    "image \"\(plan.imageName)\" names a stop signal that is none: \"\(name)\""
                )
            }
            plan.stopSignal = signal
        }
        return plan
    }

    /// With `--exec`, the program and the arguments given; without, the arguments behind the image's own.
    private static func arguments(_ app: PodRequest.App, _ config: ImageConfig) -> [String] {
        (app.exec.map { [$0] } ?? config.command) + app.arguments
    }

    /// Fly is for tools of the host, which mount, load and configure: what it starts may do what its user may do there.
    private static func liftRestrictions(of plan: inout AppPlan) throws {
        plan.filtersSystemCalls = false
        plan.hidesPaths = false
        plan.noNewPrivileges = false
        plan.capabilities = try BoundingSet.capabilities()
    }

    private static func capabilities(_ app: PodRequest.App, insecure: InsecureOptions) throws -> [Capability] {
        func known(_ names: [String]) throws -> [Capability] {
            try names.map { name in
                guard let capability = Capability(name) else {
                    throw RktError(.invalidArgument, "\"\(name)\" is no capability")
                }
                return capability
            }
        }
        switch (app.capabilitiesToRetain, app.capabilitiesToRemove) {
        case (.some, .some):
            throw RktError(.invalidArgument, "--caps-retain and --caps-remove exclude each other")
        case (let retain?, nil): return try known(retain)
        case (nil, let remove?):
            let removed = try known(remove)
            return Capability.defaults.filter { !removed.contains($0) }
        case (nil, nil): return insecure.contains(.capabilities) ? try BoundingSet.capabilities() : Capability.defaults
        }
    }

    // MARK: Environment

    /// Lowest first, as with rkt 1.30: defaults, inherited, the image's, the app's, the pod's.
    private static func environment(
        _ app: PodRequest.App,
        in request: PodRequest,
        config: ImageConfig,
        user: AppUser,
        name: String
    ) -> [(String, String)] {
        var result: [(String, String)] = config.environment.map { ($0.name, $0.value) }
        // Names are bytes: two that read the same may be two.
        func isSame(_ name: String, _ other: String) -> Bool { name.utf8.elementsEqual(other.utf8) }
        func override(_ pairs: [(String, String)]) {
            for pair in pairs {
                result.removeAll { isSame($0.0, pair.0) }
                result.append(pair)
            }
        }
        func complete(_ pairs: [(String, String)]) {
            for pair in pairs where !result.contains(where: { isSame($0.0, pair.0) }) { result.append(pair) }
        }
        override(app.environment)
        complete(request.inheritedEnvironment)
        override(request.environment)
        let account = user.name ?? "\(user.uid)"
        complete([
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), ("SHELL", "/bin/sh"),
            ("USER", account), ("LOGNAME", account), ("HOME", user.home ?? "/"),
        ])
        if request.stage1 != .fly { override([("AC_APP_NAME", name)]) }
        return result
    }
}
