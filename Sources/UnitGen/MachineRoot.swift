internal import Diagnostics
internal import Manifests

/// The places in the root of a pod that is a machine (stage1 nspawn). pod-init makes the rest of it: the host's `/usr`,
/// the apps' roots, the pod's journal and its records, each where the names here say.
enum MachineRoot {
    /// The launcher: pod-init itself, wherever it is installed.
    static let launcher = "/rkt/pod-init"
    /// The units, which are all there are: nothing of the host's or of its generators is loaded.
    static let units = "etc/systemd/system"
    /// Names that an app's unit cannot have, as the machine's own units have them.
    static let reservedNames: Set<String> = Set(
        MachineUnits.all.map(\.name) + [MachineUnits.watch, "container-getty@", "container-shell@"]
    )
}

extension PodPlan {
    /// The files of the pod's own machine, where it has one: units, and what programs look for in `/etc`.
    ///
    /// - Returns: The files, their paths relative to the machine's root; none where the host's systemd runs the apps.
    /// - Throws: ``RktError`` with `invalidArgument`, naming what cannot stand in a unit or is no name for an app here.
    public func machineRoot() throws -> [GeneratedFile] {
        guard stage1 == .nspawn else { return [] }
        try validate()
        var units = try MachineUnits.all.map { (name: $0.name, text: try $0.unitFile().description) }
        for app in apps {
            let unit = try unit(of: app)
            guard !MachineRoot.reservedNames.contains(unit.name) else {
                let reason = "stage1 nspawn has a unit \(unit.name) of its own"
                throw RktError(.invalidArgument, "an app cannot be called \"\(app.name)\": \(reason) (try --name)")
            }
            units.append((unit.name, unit.file.description))
        }
        units.append((MachineUnits.watch, try watch().description))
        units.append(("default.target", try defaultTarget().description))
        return units.map { GeneratedFile(path: "\(MachineRoot.units)/\($0.name)", content: $0.text) } + accounts()
            + settings()
    }

    /// What is started: the apps, and the sockets behind which everything else waits to be wanted.
    private func defaultTarget() throws -> UnitFile {
        var file = UnitFile()
        try file.add("Unit", "Description", "Apps of rkt pod \(uuid)")
        try file.add("Unit", "Documentation", "man:rkt(1)")
        try file.add("Unit", "DefaultDependencies", "no")
        try file.add("Unit", "Wants", "\(appUnits) \(MachineUnits.watch) systemd-journald.service dbus.socket")
        try file.add("Unit", "After", appUnits)
        try file.add("Unit", "Conflicts", "shutdown.target")
        try file.add("Unit", "Before", "shutdown.target")
        try file.add("Unit", "AllowIsolate", "yes")
        return file
    }

    private var appUnits: String { apps.map { "\($0.name).service" }.joined(separator: " ") }

    /// What records the ends of the apps. It is up before they are and until they are down, and as it names them,
    /// systemd remembers them so long, though they be down. Whenever it ends, it is started again.
    private func watch() throws -> UnitFile {
        try MachineUnit(
            MachineUnits.watch,
            unit: [
                ("Conflicts", "shutdown.target"), ("Before", "\(appUnits) shutdown.target"),
                ("StartLimitIntervalSec", "0"),
                // The machine would never end.
                ("RefuseManualStop", "yes"),
            ],
            "Service",
            [
                ("ExecStart", "\(MachineRoot.launcher) watch"), ("Restart", "always"), ("RestartSec", "0"),
                ("StandardOutput", "null"),
                ("StandardError", "journal"), ("OOMScoreAdjust", "-900"),
            ]
        ).unitFile()
    }

    private func accounts() -> [GeneratedFile] {
        let nologin = "/usr/sbin/nologin"
        return [
            GeneratedFile(
                path: "etc/passwd",
                content: Self.text([
                    "root:x:0:0:root:/root:/bin/sh", "messagebus:x:100:100:D-Bus:/nonexistent:\(nologin)",
                    // As others than Debian call it.
                    "dbus:x:100:100:D-Bus:/nonexistent:\(nologin)",
                    "nobody:x:65534:65534:nobody:/nonexistent:\(nologin)",
                ])
            ),
            GeneratedFile(
                path: "etc/group",
                content: Self.text([
                    "root:x:0:", "tty:x:5:", "messagebus:x:100:", "dbus:x:100:", "systemd-journal:x:101:",
                    "nogroup:x:65534:",
                ])
            ),
            // Nobody has a password: `machinectl shell` asks for none, and `machinectl login` lets nobody in without.
            GeneratedFile(path: "etc/shadow", content: Self.text(["root:*:::::::", "messagebus:*:::::::"])),
            GeneratedFile(
                path: "etc/nsswitch.conf",
                content: Self.text(["passwd: files", "group: files", "hosts: files"])
            ),
            GeneratedFile(
                path: "etc/pam.d/login",
                content: Self.text([
                    "auth required pam_unix.so", "account required pam_permit.so", "session required pam_permit.so",
                ])
            ),
        ]
    }

    private func settings() -> [GeneratedFile] {
        var maximumUse: UInt64 = 0
        if case .namespace(let most) = journal { maximumUse = most }
        return [
            GeneratedFile(path: "etc/machine-id", content: "\(uuid.hex)\n"),
            GeneratedFile(path: "etc/hostname", content: "\(hostname)\n"),
            GeneratedFile(path: "etc/hosts", content: "127.0.0.1 localhost \(hostname)\n::1 localhost\n"),
            GeneratedFile(
                path: "etc/os-release",
                content: Self.text([
                    "ID=rkt-pod", "NAME=\"rkt pod\"", "PRETTY_NAME=\"rkt pod\"", "VARIANT_ID=\(uuid)",
                ])
            ),
            GeneratedFile(
                path: "etc/systemd/journald.conf",
                content: Self.text(Self.journalSettings(maximumUse: maximumUse) + ["Storage=persistent"])
            ),
        ]
    }
}
