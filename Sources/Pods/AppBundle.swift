internal import Diagnostics
internal import ImageStore
internal import LinuxOS

/// An app's directory in the pod's: the OCI bundle and the overlay's own directories.
struct AppBundle {
    let name: String
    let directory: Directory
    let image: PodImage

    /// Makes the directory for an app.
    init(in apps: Directory, name: String, image: PodImage) throws {
        try apps.makeDirectory(name, mode: 0o750)
        self.name = name
        self.image = image
        directory = try apps.directory(name)
        for name in ["upper", "work", "rootfs"] { try directory.makeDirectory(name, mode: 0o755) }
        // Topmost first, as overlayfs wants them.
        try directory.writeInPlace("layers", image.layers.reversed().map { "\($0)\n" }.joined())
    }

    /// Resolves the app's user in its own root.
    func user(_ user: String, group: String?) throws -> AppUser {
        try LayersView.with(layers: image.layers, mountPoint: directory.path(of: "rootfs")) { openRoot in
            try AppUser(user: user, group: group, in: openRoot)
        }
    }
}
