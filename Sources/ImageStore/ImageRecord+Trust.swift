internal import Diagnostics
internal import Glibc
internal import LinuxOS
internal import Manifests

extension ImageStore {
    /// The one rule of whose word counts in a store that several users write to: root's for all, and everybody's own
    /// for themselves.
    static func isTrusted(owner: UInt32?, by user: UInt32) -> Bool {
        guard let owner else { return false }
        return owner == 0 || owner == user
    }
}

extension ImageRecord {
    /// Whether a user may take what this record says for granted: that it was verified, where it came from, what it is
    /// called. The digests in it are checked by who reads the content, whoever wrote it.
    ///
    /// - Parameter user: The user's number.
    /// - Returns: Whether root or the user wrote it.
    public func isTrusted(by user: UInt32) -> Bool { ImageStore.isTrusted(owner: owner, by: user) }

    /// Whether the user of this process may take what the record says for granted.
    public var isTrusted: Bool { isTrusted(by: geteuid()) }

    /// The record as others may see it who do not trust its writer: nobody has verified it, and nothing leads to it.
    /// Nil for one that says itself that it is wrong.
    func seen(by user: UInt32) -> ImageRecord? {
        guard !isTrusted(by: user) else { return self }
        switch kind {
        case .oci, .docker: guard id == "sha256-\(manifest.hex)", config != nil else { return nil }
        case .appc:
            guard layers.count == 1, layers[0].diffID == layers[0].blob, id == "sha512-\(layers[0].blob.hex.prefix(64))"
            else { return nil }
        }
        var record = self
        record.sources = []
        record.names.removeAll { !Self.isPlain($0) }
        record.labels.removeAll { !Self.isPlain($0.value) }
        record.importedAt = min(max(record.importedAt, 0), ImageStore.now())
        record.verification = Verification(isVerified: false, detail: "fetched by user \(owner ?? 0)")
        return record
    }
}

extension ImageRecord {
    /// The most bytes of an image's name: more than any registry allows.
    static let nameLimit = 1024

    /// Whether a name is one that can be listed: no control characters, and not endless.
    static func isPlain(_ name: String) -> Bool {
        name.utf8.count <= nameLimit && name.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}

/// The group whose members may add to a store, if it has one.
struct StoreMembers {
    /// Set-group-ID, so that what is made below is the group's too; sticky, so that it is its maker's alone to replace.
    private static let mode: UInt32 = 0o3775
    private let group: UInt32?

    /// A store's directory says it: its group, if that is inherited.
    init(of directory: Directory) throws {
        let status = try FileStatus(of: directory.descriptor, name: directory.path)
        group = status.mode & 0o2000 != 0 && status.uid == 0 ? status.gid : nil
    }

    /// Lets members write to a directory, if this is root.
    func admit(_ directory: Directory) throws {
        guard let group, group != 0, geteuid() == 0 else { return }
        let status = try FileStatus(of: directory.descriptor, name: directory.path)
        guard status.uid == 0, status.gid != group || status.mode != Self.mode else { return }
        let raw = directory.descriptor.rawValue
        let mode = Self.mode
        try system("giving \(directory.path) to its group") { fchown(raw, 0, group) }
        try system("giving \(directory.path) to its group") { fchmod(raw, mode) }
    }

    /// Whether a store is this user's alone, who then may do with it what root may.
    static func isOwn(_ directory: Directory) -> Bool {
        (try? FileStatus(of: directory.descriptor, name: directory.path).uid) == geteuid()
    }
}

extension ImageStore {
    /// Refuses an image that its maker's word is all there is for.
    static func requireTrusted(_ image: ImageRecord) throws {
        guard image.isTrusted else {
            throw RktError(
                .permissionDenied,
                "image \(image.id) was fetched by user \(image.owner ?? 0) and is not root's: name it by its id, or fetch it again"
            )
        }
    }

    /// Makes way for a file of root's: no rename replaces a directory, which a member may have put there, and which may
    /// be one that takes long to remove.
    func makeWay(for name: String, in directory: Directory) throws {
        guard geteuid() == 0, (try? directory.status(of: name).kind) == .directory else { return }
        let temporary = try part("tmp")
        let aside = "aside-\(UInt64.random(in: 0 ... .max))"
        try directory.rename(name, to: aside, in: temporary)
        try? temporary.removeTree(aside)
    }
}
