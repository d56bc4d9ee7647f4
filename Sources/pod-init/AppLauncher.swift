import CMusl

/// ExecStart= of an app's unit: mounts the app's root, lets the OCI runtime start the app in the pod's namespaces,
/// hands it to systemd as the unit's main process, and ends. Nothing of this program stays beside the app.
///
/// Arguments: UUID APP DATA-DIRECTORY RUNTIME; `-` for the data directory in a machine, where all is mounted already
/// and the pod's namespaces are those of its systemd.
enum AppLauncher {
    static func run(_ arguments: [UnsafePointer<CChar>]) -> Never {
        guard arguments.count >= 4 else { refuse(Text("app: too few arguments")) }
        let uuid = arguments[0]
        forgetRoot()
        let place = PodPlace(uuid, data: arguments[2])
        let pod = openFile(place.path, O_RDONLY | O_DIRECTORY)
        let appPath = place.path + "/apps/" + arguments[1]
        // What systemd keeps while the unit is up.
        var kept: Int32?
        if place.isMachine {
            leaveMounts()
        } else {
            let configuration = PodConfiguration(in: pod)
            let namespaces = PodNamespaces.open(pod, uuid: uuid, configuration: configuration)
            leaveMounts()
            namespaces.bind()
            let isTemporary = exists(in: pod, Text("temporary"))
            let hostname = Text(configuration.value("Hostname"))
            // Opened only now: the kernel does not mount what was found in another mount namespace.
            let root = AppRoot.mount(appPath, on: appPath + "/rootfs", hostname: hostname, isTemporary: isTemporary)
            if !isTemporary { kept = root }
        }

        // An app that is started again has not ended.
        let status = openFile(in: pod, Text("status"), O_RDONLY | O_DIRECTORY)
        let record = Text(arguments[1])
        EndRecords.takeBack(in: status, app: record)
        if place.isMachine {
            Role.beforeFailure = { code in recordFailure(in: pod, status, app: record, unit: place.unit(record), code) }
        }
        let app = RuntimeContainer(
            runtime: arguments[3],
            bundle: appPath,
            id: Text(uuid) + "-" + arguments[1],
            isInMachine: place.isMachine
        )
        let main = app.create()
        // By now the app's process is systemd's own child, so that its end is the unit's; it still waits to be started,
        // so that it cannot end before systemd knows it.
        let guardian = StartGuard(of: main)
        let handOver = Text("MAINPID=") + main + "\nREADY=1"
        if let kept {
            Notify.send(handOver + "\nFDSTORE=1\nFDPOLL=0\nFDNAME=root", with: kept)
        } else {
            Notify.send(handOver)
        }
        Role.beforeFailure = nil
        if place.isMachine { writeFile(in: status, Text(PodState.started) + record, Text(""), mode: 0o640) }
        app.start()
        guardian.dismiss()
        // Where another app has failed while this one was still to be started, the end was left to the last to start.
        if place.isMachine { endMachineIfFailed(pod) }
        _exit(0)
    }

    /// Goes to a mount namespace of its own: what the runtime mounts must not come to anybody else, not even for a
    /// moment.
    private static func leaveMounts() {
        check(unshare(CLONE_NEWNS), Text("making a mount namespace"))
        check(mount(nil, "/", nil, MS_REC | MS_SLAVE, nil), Text("making mounts private"))
    }

    /// Records in a machine that the app could not be started, and ends that, before its systemd hears of it and says
    /// that the machine has come up. Where the app would be started again, what watches the apps sees to it.
    private static func recordFailure(in pod: Int32, _ status: Int32, app: Text, unit: Text, _ code: Int32) {
        guard let systemd = BusConnection.systemd() else { return }
        let answers = ["Restart", "RestartForceExitStatus"].map { (name: StaticString) in
            systemd.send(BusCall.property(SystemdUnit.path(unit), SystemdUnit.serviceInterface, name))
        }.map { systemd.answer(to: $0, patience: 25_000) }
        guard let policy = answers[0].flatMap(SystemdUnit.string), equal(policy, "no"), let forced = answers[1],
            !SystemdUnit.has(forced, code, isExit: true)
        else { return }
        EndRecords.record(in: pod, status, app: app, code, isFailure: !exists(in: pod, Text(PodState.stopping)))
        endMachineIfFailed(pod, systemd)
    }

    private static func endMachineIfFailed(_ pod: Int32, _ systemd: BusConnection? = nil) {
        guard exists(in: pod, Text("status/EXIT")), !exists(in: pod, Text(PodState.stopping)),
            PodState.areAllStarted(pod)
        else { return }
        MachineEnd.request(systemd, status: PodState.exitStatus(pod))
    }

    /// Lets go of the root of the app's last life, which systemd keeps (FDSTORE=1) and hands to the next one.
    ///
    /// It is kept because the last to let go of an overlay waits for its files to be on disk. That would be the app,
    /// whose end everybody waits for; so it is systemd, once the unit is down, in a process that nobody waits for.
    private static func forgetRoot() {
        guard getenv("LISTEN_FDS") != nil else { return }
        _ = close_range(3, .max, 0)
        Notify.send(Text("FDSTOREREMOVE=1\nFDNAME=root"))
    }
}
