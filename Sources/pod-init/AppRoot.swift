import CMusl

/// The app's root file system: an overlay of the image's layers and the app's own writable directory. Its mount lives
/// in this process's mount namespace and therefore just as long as the app; systemd keeps the file system itself until
/// the unit is down.
enum AppRoot {
    /// Where the ids of a machine's users are not the disk's: how they are mapped, and a place for the mounts that do
    /// it.
    struct Mapping {
        /// An empty directory in memory.
        let place: Text
        /// The ids, as a user namespace.
        let userNamespace: Int32
        /// The host's id for the machine's root.
        let base: UInt32

        /// A directory with the machine's ids, below the place.
        func mapped(_ directory: Text, as name: Text) -> Int32 {
            let target = place + "/" + name
            makeDirectory(target)
            let tree = directory.withCString { detached_tree(AT_FDCWD, $0) }
            check(tree, Text("taking ") + directory)
            check(change_mounts(tree, 0, userNamespace), Text("mapping the ids in ") + directory)
            check(target.withCString { attach_tree(tree, $0) }, Text("mounting ") + directory)
            _ = close(tree)
            return openFile(target, O_PATH | O_DIRECTORY)
        }
    }

    /// Mounts it.
    ///
    /// Layers and directories are named by descriptor: short names, so that many layers fit into the one page the
    /// kernel takes, and no text of a path is parsed by it.
    ///
    /// - Parameters:
    ///   - bundle: The app's directory.
    ///   - target: Where to mount it.
    ///   - hostname: The pod's host name, for an image that has none; empty where it is the host's.
    ///   - isTemporary: Whether nothing is kept of what the app writes, so that none of it need ever reach the disk.
    ///   - mapping: How ids are mapped, if they are.
    ///   - isStage1: Whether this is no app's root but a stage1's, which has all that it needs.
    /// - Returns: The root's descriptor.
    static func mount(
        _ bundle: Text,
        on target: Text,
        hostname: Text,
        isTemporary: Bool,
        mapping: Mapping? = nil,
        isStage1: Bool = false
    ) -> Int32 {
        let directory = mapping?.mapped(bundle, as: Text("app")) ?? openFile(bundle, O_PATH | O_DIRECTORY)
        guard let list = contents(in: directory, Text("layers")) else { fail(Text("reading the app's layers")) }
        var options = Text("lowerdir=")
        var layer = Text("")
        var layers: Int32 = 0
        for byte in list {
            if byte != 10 {
                layer.append(byte: byte)
                continue
            }
            if layers > 0 { options = options + ":" }
            let lower = mapping?.mapped(layer, as: Text("") + layers) ?? openFile(layer, O_PATH | O_DIRECTORY)
            options = options + path(ofDescriptor: lower)
            layers += 1
            layer = Text("")
        }
        if layers == 0 { refuse(Text("the app has no layers")) }
        let upper = openFile(in: directory, Text("upper"), O_PATH | O_DIRECTORY)
        let work = openFile(in: directory, Text("work"), O_PATH | O_DIRECTORY)
        // The one of the app's last life may still be on its way to the disk; an index would refuse a second one.
        options = options + ",index=off,upperdir=" + path(ofDescriptor: upper) + ",workdir=" + path(ofDescriptor: work)
        if isTemporary {
            // The kernel's mark of one that may have lost something, as the app's last life left it: nothing was lost.
            let mark: StaticString = "work/work/incompat/volatile"
            remove(in: directory, Text(mark) + "/dirty")
            _ = Text(mark).withCString { unlinkat(directory, $0, 0x200) }
            options = options + ",volatile"
        }
        // Whoever mounts an overlay makes its files, and must be somebody in there.
        if let mapping { make_files_as(mapping.base, mapping.base) }
        let result = target.withCString { target in
            options.withCString { CMusl.mount("overlay", target, "overlay", 0, $0) }
        }
        check(result, Text("mounting the app's root"))
        let mounted = openFile(target, O_RDONLY | O_DIRECTORY)
        if isStage1 { return mounted }
        provide("hosts", hosts(hostname), in: mounted)
        if hostname.count > 0 { provide("hostname", hostname + "\n", in: mounted) }
        if mapping != nil { make_files_as(0, 0) }
        return mounted
    }

    /// The hosts file of an app whose image has none, as rkt 1 made it.
    private static func hosts(_ hostname: Text) -> Text {
        Text("127.0.0.1\tlocalhost localhost.localdomain") + (hostname.count > 0 ? Text(" ") + hostname : hostname)
            + "\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nff02::1\tip6-allnodes\n"
            + "ff02::2\tip6-allrouters\n"
    }

    /// Writes a file of `/etc` that the image does not have. Every step stays inside the app's root, whatever links
    /// the image has put there.
    private static func provide(_ name: StaticString, _ content: Text, in root: Int32) {
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let fd = (Text("etc/") + name).withCString { open_in_root(root, $0, flags, 0o644) }
        // It has one, or no /etc.
        guard fd >= 0 else { return }
        _ = content.withCString { write(fd, $0, content.count) }
        _ = close(fd)
    }
}
