import CMusl

/// The root file system of a pod that is a machine: in memory, with the host's `/usr`, files that were generated, and
/// mounts of the apps' roots, the pod's records and its journal. It is in a mount namespace of its own and goes with
/// the machine. Names of its places are in `UnitGen/MachineRoot.swift`, too.
struct MachineRoot {
    private let pod: PodRecords
    private let configuration: PodConfiguration
    private let apps: [Text]
    private let root: Text
    /// The host's id that is root's in the machine, where it has users of its own; else 0.
    private let base: UInt32
    /// The user namespace by which the files of images and apps are the machine's; -1 for none.
    private let mapping: Int32

    init(_ pod: PodRecords, _ configuration: PodConfiguration, apps: [Text]) {
        self.pod = pod
        self.configuration = configuration
        self.apps = apps
        root = pod.path + "/rootfs"
        base = configuration.optional("UserRange").flatMap { parseNumber(Array($0)) }.map { UInt32($0) } ?? 0
        mapping = base == 0 ? -1 : IDMapping.userNamespace(base: base, count: 65_536)
    }

    /// Builds it, in a mount namespace of its own.
    func build() {
        check(unshare(CLONE_NEWNS), Text("making a mount namespace"))
        // What machined binds into the machine comes by the host's mounts.
        check(mount(nil, "/", nil, MS_REC | MS_SLAVE, nil), Text("making mounts private"))
        let filters = compiledFilters()
        let ownFilter = MachineFilter.compiled(for: pod, configuration)
        mountMemory(on: root, "mode=755")
        make_files_as(base, base)
        makeTree()
        HostFiles("machine-files", of: pod).write(to: root)
        let kept = root + RuntimeContainer.machineStateDirectory + RuntimeContainer.filters
        for (name, content) in filters { newFile(kept + "/" + name, content) }
        if let ownFilter { newFile(root + MachineFilter.path, ownFilter) }
        let bundles = apps.map { (name: $0, mounted: root + "/rkt/apps/" + $0) }
        for bundle in bundles { copyBundle(bundle.name, to: bundle.mounted) }
        make_files_as(0, 0)

        attach("/usr", to: root + "/usr", attributes: MOUNT_ATTR_RDONLY, recursively: true)
        // Without it the loader of programs looks for libraries in some twenty places.
        if exists(in: AT_FDCWD, Text("/etc/ld.so.cache")) {
            attach(Text("/etc/ld.so.cache"), to: root + "/etc/ld.so.cache", attributes: MOUNT_ATTR_RDONLY)
        }
        // By its name: the kernel attaches nothing that was found in another mount namespace.
        guard let launcher = link(Text("/proc/self/exe")) else { fail(Text("finding pod-init")) }
        attach(launcher, to: root + "/rkt/pod-init", attributes: MOUNT_ATTR_RDONLY)
        if base > 0 {
            let status = openFile(in: pod.directory, Text("status"), O_RDONLY | O_DIRECTORY)
            forEachEntry(of: status) { name, _ in give(pod.path + "/status/" + name) }
            _ = close(status)
        }
        attachOwn(pod.path + "/status", to: root + "/rkt/status")
        attachOwn(pod.ensureJournal(host: false), to: root + "/var/log/journal/" + pod.machineID)
        let isTemporary = exists(in: pod.directory, Text("temporary"))
        mountApps(bundles.map { (name: $0.name, target: $0.mounted + "/rootfs") }, isTemporary: isTemporary)
    }

    // MARK: The runtime's filters

    /// The filters of system calls that the runtime has compiled on this host: in the machine each app would do so
    /// again, which takes as long as all else that the runtime does.
    private func compiledFilters() -> [(Text, [UInt8])] {
        let path = Text(RuntimeContainer.stateDirectory) + RuntimeContainer.filters
        // The directory alone is what a runtime leaves that keeps none.
        if !exists(in: AT_FDCWD, path), exists(in: pod.directory, Text("filter")) {
            Text(configuration.value("Runtime")).withCString { runtime in
                RuntimeContainer(
                    runtime: runtime,
                    bundle: pod.path + "/filter",
                    id: Text(pod.uuid) + "-filter",
                    isInMachine: false
                ).compileFilter()
            }
            for name in ["", "/.cache", "/.cache/seccomp"] as [StaticString] {
                makeDirectory(Text(RuntimeContainer.stateDirectory) + name, mode: 0o700)
            }
        }
        return read(path)
    }

    private func read(_ path: Text) -> [(Text, [UInt8])] {
        guard let directory = openIfThere(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW) else { return [] }
        defer { _ = close(directory) }
        var found: [(Text, [UInt8])] = []
        forEachEntry(of: directory) { name, _ in
            if found.count < 16, let content = contents(in: directory, name) { found.append((name, content)) }
        }
        return found
    }

    // MARK: Files

    private func makeTree() {
        let directories: [StaticString] = [
            "dev", "etc", "etc/pam.d", "etc/systemd", "etc/systemd/system", "home", "mnt", "opt", "proc", "rkt",
            "rkt/apps",
            "rkt/runtime", "rkt/runtime/.cache", "rkt/runtime/.cache/seccomp", "rkt/status", "run", "sys", "usr", "var",
            "var/cache", "var/lib", "var/log", "var/log/journal", "var/spool",
        ]
        for name in directories { makeDirectory(root + "/" + name) }
        makeDirectory(root + "/var/log/journal/" + pod.machineID)
        makeDirectory(root + "/root", mode: 0o700)
        _ = umask(0)
        for name in ["/tmp", "/var/tmp"] as [StaticString] { makeDirectory(root + name, mode: 0o1777) }
        _ = umask(0o022)
        writeFile(root + "/rkt/pod-init", Text(""), mode: 0o755)
        writeFile(root + "/etc/ld.so.cache", Text(""))
        makeLink("../run", at: root + "/var/run")
        // Where rkt had the apps.
        makeLink("../rkt/apps", at: root + "/opt/stage2")
        for name in ["bin", "lib", "lib32", "lib64", "libx32", "sbin"] as [StaticString] {
            if let target = link(Text("/") + name) {
                makeLink(target, at: root + "/" + name)
            } else if exists(in: AT_FDCWD, Text("/") + name) {
                refuse(
                    Text("the host's /") + name + " is no link into /usr: stage1 nspawn has nothing else of the host"
                )
            }
        }
    }

    private func makeLink(_ target: StaticString, at path: Text) { makeLink(Text(target), at: path) }

    private func makeLink(_ target: Text, at path: Text) {
        let made = target.withCString { target in path.withCString { symlinkat(target, AT_FDCWD, $0) } }
        check(made, Text("linking ") + path)
    }

    private func copyBundle(_ app: Text, to target: Text) {
        makeDirectory(target)
        makeDirectory(target + "/rootfs")
        guard let configuration = contents(in: pod.directory, Text("apps/") + app + "/config.json", limit: 1 << 24)
        else { fail(Text("reading the bundle of app ") + app) }
        newFile(target + "/config.json", configuration)
    }

    // MARK: Mounts

    private func mountMemory(on target: Text, _ options: StaticString) {
        let words = Text(options) + ",uid=" + Int32(bitPattern: base) + ",gid=" + Int32(bitPattern: base)
        let result = target.withCString { path in words.withCString { mount("rkt", path, "tmpfs", MS_NODEV, $0) } }
        check(result, Text("mounting ") + target)
    }

    /// Mounts a directory of the host that the machine writes to. Where the machine has users of its own, the directory
    /// is theirs on the disk too: with mapped ids, a set-uid program that the machine's root leaves there would be the
    /// host's root's.
    private func attachOwn(_ directory: Text, to target: Text) {
        if base > 0 { give(directory) }
        attach(directory, to: target, attributes: MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)
    }

    private func give(_ path: Text) {
        check(path.withCString { lchown($0, base, .max) }, Text("giving ") + path + " to the machine")
    }

    private func attach(_ source: StaticString, to target: Text, attributes: UInt, recursively: Bool) {
        attach(Text(source), to: target, attributes: attributes, recursively: recursively)
    }

    private func attach(_ source: Text, to target: Text, attributes: UInt, recursively: Bool = false) {
        let tree = source.withCString {
            recursively ? detached_trees(AT_FDCWD, $0) : detached_tree(AT_FDCWD, $0)
        }
        check(tree, Text("taking ") + source)
        check(change_mounts(tree, attributes, -1), Text("preparing the mount of ") + source)
        check(target.withCString { attach_tree(tree, $0) }, Text("mounting ") + source + " on " + target)
        _ = close(tree)
    }

    /// Mounts the apps' roots. Of many, another process mounts half: nothing else has anything to do before the machine
    /// is there, and the kernel takes as long for an app as all else here.
    private func mountApps(_ apps: [(name: Text, target: Text)], isTemporary: Bool) {
        // Mounts with mapped ids have one place on their way.
        let half = mapping < 0 && apps.count > 3 ? apps.count / 2 : 0
        let helper = half > 0 ? check(fork(), Text("forking")) : 0
        let isHelper = half > 0 && helper == 0
        if isHelper {
            Role.beforeFailure = nil
            // It holds what its parent holds.
            _ = set_process_option(PR_SET_PDEATHSIG, UInt(SIGKILL))
        }
        for (index, app) in apps.enumerated() where (index < half) == isHelper {
            mountApp(app.name, on: app.target, isTemporary: isTemporary)
        }
        if isHelper { _exit(0) }
        guard half > 0 else { return }
        var status: Int32 = 0
        while waitpid(helper, &status, 0) < 0, __errno_location().pointee == EINTR {}
        // It has said why.
        if status != 0 { Role.end(ExitStatus.setup) }
    }

    /// Mounts an app's root. Where the machine has users of its own, the layers and the app's files are theirs in
    /// there, but not on the disk.
    private func mountApp(_ app: Text, on target: Text, isTemporary: Bool) {
        let bundle = pod.path + "/apps/" + app
        let hostname = Text(configuration.value("Hostname"))
        guard mapping >= 0 else {
            _ = close(AppRoot.mount(bundle, on: target, hostname: hostname, isTemporary: isTemporary))
            return
        }
        // An overlay takes only mounts that are somewhere, and keeps them when the place goes.
        let place = root + "/mnt"
        mountMemory(on: place, "size=64k,mode=700")
        let mapped = AppRoot.Mapping(place: place, userNamespace: mapping, base: base)
        _ = close(AppRoot.mount(bundle, on: target, hostname: hostname, isTemporary: isTemporary, mapping: mapped))
        check(place.withCString { umount2($0, MNT_DETACH) }, Text("leaving ") + place)
    }
}
