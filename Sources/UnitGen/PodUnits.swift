internal import Diagnostics
internal import Manifests

/// A unit and its name.
public struct GeneratedUnit: Sendable, Hashable {
    /// The unit's name.
    public let name: String
    /// Its file.
    public let file: UnitFile
}

extension PodPlan {
    /// The name of the pod's slice: without dashes, which would nest.
    var sliceName: String { "rkt-\(uuid.hex).slice" }
    /// The pod's machine and journal namespace.
    var machineName: String { "rkt-\(uuid)" }

    /// The units of the pod that the host's systemd runs beside `pod@UUID.service`: its slice and one unit per app;
    /// none where the pod has a systemd of its own (``machineRoot()``), or a program of an image runs it.
    ///
    /// - Returns: The units, the slice first.
    /// - Throws: ``RktError`` with `invalidArgument`, naming what cannot stand in a unit.
    public func units() throws -> [GeneratedUnit] {
        try validate()
        if stage1 == .nspawn || stage1 == .image { return [] }
        var slice = UnitFile()
        try slice.add("Unit", "Description", "Apps of rkt pod \(uuid)")
        try slice.add("Unit", "Documentation", "man:rkt(1)")
        // A slice that comes of itself would stay for ever.
        try slice.add("Unit", "StopWhenUnneeded", "yes")
        // Nothing is left to end the pod when systemd does not start an app again as was expected.
        try slice.add("Unit", "PropagatesStopTo", "pod@\(uuid).service")
        return try [GeneratedUnit(name: sliceName, file: slice)] + apps.map { try unit(of: $0) }
    }

    /// Refuses what no unit of the pod could be made of.
    func validate() throws {
        let paths = [("data directory", dataDirectory), ("OCI runtime", runtime), ("path of pod-init", podInit)]
        for (field, path) in paths where !path.isAbsolutePath {
            throw RktError(.invalidArgument, "the \(field) \(path.debugDescription) is not an absolute path")
        }
        var names: Set<ACName> = []
        for app in apps where !names.insert(app.name).inserted {
            throw RktError(.invalidArgument, "multiple apps with name \(app.name)")
        }
    }

    /// The unit of an app: on the host it says which pod's it is.
    func unit(of app: AppPlan) throws -> GeneratedUnit {
        let name = stage1 == .nspawn ? "\(app.name).service" : "rkt-\(uuid)-\(app.name).service"
        // systemd's limit, with the NUL.
        guard name.utf8.count < 256 else {
            throw RktError(.invalidArgument, "app name \"\(app.name)\" is too long: its unit's name would be \(name)")
        }
        var file = UnitFile()
        try addUnitSection(&file, app)
        for (key, value) in try processSettings(app) + commands(app) { try file.add("Service", key, value) }
        return GeneratedUnit(name: name, file: file)
    }

    private func addUnitSection(_ file: inout UnitFile, _ app: AppPlan) throws {
        let image = UnitEscaping.display(app.imageName)
        try file.add("Unit", "Description", "\(app.name) (\(image)) in rkt pod \(uuid)")
        try file.add("Unit", "Documentation", "man:rkt(1)")
        try file.add("Unit", "DefaultDependencies", "no")
        try file.add("Unit", "Conflicts", "shutdown.target")
        try file.add("Unit", "Before", "shutdown.target")
        // At shutdown the journal outlives the app, whose last lines it takes.
        if stage1 == .nspawn {
            try file.add("Unit", "After", "systemd-journald.socket systemd-journald-dev-log.socket")
        } else if case .namespace = journal {
            try file.add("Unit", "After", "systemd-journald@\(machineName).service")
        }
        // Without a PID namespace no kernel ends the apps with their init.
        if stage1 == .fly { try file.add("Unit", "BindsTo", "pod@\(uuid).service") }
        // However often an app is restarted: the pod waits for its end, which a start limit would hide.
        try file.add("Unit", "StartLimitIntervalSec", "0")
    }

    private func processSettings(_ app: AppPlan) throws -> [(String, String)] {
        var settings = [
            ("Type", "notify"),
            // The launcher hands the app over; it is the main process only until then.
            ("NotifyAccess", "all"),
        ]
        if stage1 == .nspawn {
            settings.append(("Slice", MachineUnits.slice))
        } else {
            // For the app's root: what lets go of it last waits for the disk.
            settings += [("FileDescriptorStoreMax", "1"), ("Slice", sliceName)]
            // Without one, the launcher still makes a mount namespace of its own.
            if case .namespace = journal { settings.append(("LogNamespace", machineName)) }
        }
        let fields = [("RKT_POD", "\(uuid)"), ("RKT_APP", "\(app.name)"), ("RKT_IMAGE", app.imageName)]
        for (name, value) in fields {
            settings.append(("LogExtraFields", try UnitEscaping.logField(name, Array(value.utf8))))
        }
        settings += [
            // None: an interval of 0 would be no setting, and journald's own would hold.
            ("LogRateLimitIntervalSec", "1us"),
            ("SyslogIdentifier", app.name.description),
            ("StandardInput", "null"),
            ("StandardOutput", "journal"),
            ("StandardError", "journal"),
            ("Delegate", "yes"),
            ("KillMode", "mixed"),
            ("KillSignal", try killSignal(app)),
        ]
        switch stage1 {
        // Tools of the host may need any of its devices. A machine's systemd can forbid none: what that is in does.
        case .fly, .nspawn: break
        default: settings += [("DevicePolicy", "closed"), ("DeviceAllow", "char-pts rwm")]
        }
        settings += [
            ("IgnoreSIGPIPE", "no"),
            ("OOMPolicy", "stop"),
        ]
        if let adjustment = app.oomScoreAdjustment { settings.append(("OOMScoreAdjust", "\(adjustment)")) }
        return settings
    }

    private func commands(_ app: AppPlan) throws -> [(String, String)] {
        // A machine has its apps' bundles and records at places of its own, and the launcher too.
        let isMachine = stage1 == .nspawn
        let launcher = isMachine ? MachineRoot.launcher : podInit
        let common = ["\(uuid)", "\(app.name)", isMachine ? "-" : dataDirectory]
        let settings = [
            ("Restart", "no"),
            // The launcher waits for the pod, which has as long.
            ("TimeoutStartSec", "5min"),
            // The launcher's "there is no pod": a drop-in's Restart= does not bring an app back without its pod.
            ("RestartPreventExitStatus", "253"),
            ("ExecStart", try UnitEscaping.execLine(launcher, ["app"] + common + [runtime])),
        ]
        if isMachine { return settings }
        // It only writes a record: outside of the app's sandbox, whose setting-up takes longer than that.
        return settings + [("ExecStopPost", "+" + (try UnitEscaping.execLine(launcher, ["ended"] + common)))]
    }

    private func killSignal(_ app: AppPlan) throws -> String {
        let name = SignalName.name(app.stopSignal)
        guard SignalName.number(name) == app.stopSignal else {
            throw RktError(.invalidArgument, "app \"\(app.name)\": there is no stop signal \(app.stopSignal)")
        }
        return name
    }
}
