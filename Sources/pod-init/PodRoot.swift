import CMusl

/// The root file system that the pod's init shows to the outside: just what machined and `journalctl -M` look for.
enum PodRoot {
    /// Moves this process into a small root of its own; its mount namespace must be its own already.
    ///
    /// - Parameters:
    ///   - mountPoint: An existing directory to mount it on.
    ///   - uuid: The pod's UUID.
    ///   - hostname: The pod's host name.
    ///   - machineID: The pod's machine id, 32 hex digits.
    ///   - journal: The pod's journal directory, to be seen as the machine's own, if it has one.
    static func enter(
        mountPoint: UnsafePointer<CChar>,
        uuid: UnsafePointer<CChar>,
        hostname: UnsafePointer<CChar>,
        machineID: UnsafePointer<CChar>,
        journal: UnsafePointer<CChar>?
    ) {
        check(mount(nil, "/", nil, MS_REC | MS_PRIVATE, nil), Text("making mounts private"))
        let journalDirectory = journal.map { openFile(Text($0), O_PATH | O_DIRECTORY) }
        let flags = MS_NOSUID | MS_NODEV | MS_NOEXEC
        check(
            mount("rkt", mountPoint, "tmpfs", flags, "size=64k,nr_inodes=32,mode=755"),
            Text("mounting the pod's root")
        )
        check(chdir(mountPoint), Text("entering the pod's root"))

        makeDirectory(Text("etc"))
        writeFile(Text("etc/machine-id"), Text(machineID) + "\n")
        writeFile(Text("etc/hostname"), Text(hostname) + "\n")
        writeFile(
            Text("etc/os-release"),
            Text("ID=rkt-pod\nNAME=\"rkt pod\"\nPRETTY_NAME=\"rkt pod\"\nVARIANT_ID=") + uuid + "\n"
        )
        if let journalDirectory {
            makeDirectory(Text("var"))
            makeDirectory(Text("var/log"))
            makeDirectory(Text("var/log/journal"))
            let target = Text("var/log/journal/") + machineID
            makeDirectory(target)
            bindMount(journalDirectory, on: target)
            _ = close(journalDirectory)
        }

        // The old root lands on top of the new one and is taken off: nothing of the host stays reachable.
        check(pivot_root(".", "."), Text("changing to the pod's root"))
        check(umount2(".", MNT_DETACH), Text("leaving the host's root"))
        check(chdir("/"), Text("entering the pod's root"))
        check(mount(nil, "/", nil, MS_REMOUNT | MS_RDONLY | flags, nil), Text("sealing the pod's root"))
    }
}

/// Binds what a descriptor holds on a path.
func bindMount(_ fd: Int32, on target: Text) {
    let result = path(ofDescriptor: fd).withCString { source in
        target.withCString { mount(source, $0, nil, MS_BIND, nil) }
    }
    check(result, Text("binding ") + target)
}
