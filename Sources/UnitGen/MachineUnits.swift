/// A unit that every machine of a pod has (stage1 nspawn), whatever its apps: the few that a systemd needs to run, to
/// keep a journal, to be talked to and to end in order. systemd 262 has some of them built in; 252 and 257 have not.
struct MachineUnit: Sendable {
    let name: String
    let settings: [(String, [(String, String)])]

    init(_ name: String, unit: [(String, String)], _ section: String = "", _ settings: [(String, String)] = []) {
        self.name = name
        let common = ("Unit", [("Description", name), ("DefaultDependencies", "no")] + unit)
        self.settings = settings.isEmpty ? [common] : [common, (section, settings)]
    }

    func unitFile() throws -> UnitFile {
        var file = UnitFile()
        for (section, assignments) in settings {
            for (key, value) in assignments { try file.add(section, key, value) }
        }
        return file
    }
}

enum MachineUnits {
    static let all: [MachineUnit] = targets + endings + journal + bus + [apps]

    /// The slice of the apps.
    static let slice = "apps.slice"

    private static let apps = MachineUnit(slice, unit: [("StopWhenUnneeded", "yes")])

    /// Records the ends of the apps, and ends the machine.
    static let watch = "rkt-ends.service"

    /// Points to which programs' units are ordered, by name.
    private static let targets = ["basic.target", "sysinit.target", "sockets.target", "shutdown.target"].map {
        MachineUnit($0, unit: [])
    }

    /// What ends a machine: a target for who asks (`machinectl poweroff` by a signal, the last app's end by D-Bus) and
    /// the unit with the deed. Mounts are left to the kernel, which takes them with the machine.
    private static let endings =
        [
            ("exit", "exit-force"), ("poweroff", "poweroff-force"), ("reboot", "reboot-force"),
            // systemd 252 has no halt-force.
            ("halt", "poweroff-force"),
        ].flatMap { name, action in
            [
                MachineUnit(
                    "\(name).target",
                    unit: [
                        ("Requires", "systemd-\(name).service"), ("After", "systemd-\(name).service"),
                        ("AllowIsolate", "yes"),
                    ]
                ),
                MachineUnit(
                    "systemd-\(name).service",
                    unit: [
                        ("Requires", "shutdown.target"), ("After", "shutdown.target"), ("SuccessAction", action),
                    ]
                ),
            ]
        } + [
            // SIGINT, which is `machinectl reboot`.
            MachineUnit(
                "ctrl-alt-del.target",
                unit: [("Requires", "reboot.target"), ("After", "reboot.target")]
            )
        ]

    private static let journal = [
        MachineUnit(
            "systemd-journald.socket",
            unit: [("Before", "sockets.target")],
            "Socket",
            [
                ("ListenStream", "/run/systemd/journal/stdout"), ("ListenDatagram", "/run/systemd/journal/socket"),
                ("SocketMode", "0666"), ("PassCredentials", "yes"), ("PassSecurity", "yes"), ("ReceiveBuffer", "8M"),
                ("Service", "systemd-journald.service"),
            ]
        ),
        MachineUnit(
            "systemd-journald-dev-log.socket",
            unit: [("Before", "sockets.target")],
            "Socket",
            [
                ("ListenDatagram", "/run/systemd/journal/dev-log"),
                // The second one is journald's mark that the journal need not be kept in memory first: there is nothing
                // to wait for here, and what is in memory would be lost with the machine.
                ("Symlinks", "/dev/log /run/systemd/journal/flushed"), ("SocketMode", "0666"),
                ("PassCredentials", "yes"), ("PassSecurity", "yes"), ("ReceiveBuffer", "8M"), ("SendBuffer", "8M"),
                ("Service", "systemd-journald.service"),
            ]
        ),
        MachineUnit(
            "systemd-journald.service",
            unit: [
                ("Requires", "systemd-journald.socket systemd-journald-dev-log.socket"),
                ("After", "systemd-journald.socket systemd-journald-dev-log.socket"), ("StartLimitIntervalSec", "0"),
            ],
            "Service",
            [
                ("Type", "notify"), ("ExecStart", "/usr/lib/systemd/systemd-journald"), ("Restart", "always"),
                ("RestartSec", "0"), ("StandardOutput", "null"), ("FileDescriptorStoreMax", "4224"),
                ("Sockets", "systemd-journald.socket systemd-journald-dev-log.socket"), ("OOMScoreAdjust", "-250"),
                ("LimitNOFILE", "524288"),
            ]
        ),
    ]

    /// For `machinectl shell` and `systemctl -M`: the first to use it starts it.
    private static let bus = [
        MachineUnit(
            "dbus.socket",
            unit: [("Before", "sockets.target")],
            "Socket",
            [("ListenStream", "/run/dbus/system_bus_socket")]
        ),
        MachineUnit(
            "dbus.service",
            unit: [("Requires", "dbus.socket"), ("After", "dbus.socket")],
            "Service",
            [
                ("Type", "notify"), ("NotifyAccess", "main"), ("OOMScoreAdjust", "-900"), ("LimitNOFILE", "65536"),
                (
                    "ExecStart",
                    "/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation --syslog-only"
                ),
            ]
        ),
        MachineUnit(
            "container-getty@.service",
            unit: [("After", "dbus.service"), ("Conflicts", "shutdown.target"), ("Before", "shutdown.target")],
            "Service",
            [
                ("ExecStart", "-/usr/sbin/agetty --noclear --keep-baud pts/%I 115200,38400,9600 $TERM"),
                ("Type", "idle"), ("UtmpIdentifier", "pts/%I"), ("TTYPath", "/dev/pts/%I"), ("TTYReset", "yes"),
                ("TTYVHangup", "yes"), ("KillMode", "process"), ("IgnoreSIGPIPE", "no"), ("SendSIGHUP", "yes"),
            ]
        ),
    ]
}
