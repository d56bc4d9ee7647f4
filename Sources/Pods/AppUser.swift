internal import Diagnostics
internal import Glibc
internal import LinuxOS

/// Who an app runs as: the image's or the user's words, resolved in the app's own root file system.
struct AppUser: Equatable {
    var uid: UInt32
    var gid: UInt32
    var supplementaryGroups: [UInt32] = []
    /// The account's name, when it has one.
    var name: String?
    /// The account's home directory, when it has one.
    var home: String?

    /// The superuser, who needs no look at the image.
    static let root = AppUser(uid: 0, gid: 0, name: "root", home: "/root")

    /// The most bytes of an image's account files that are read.
    static let fileLimit = 1 << 20

    /// Resolves a user and a group (appc specification, image manifest, `app`).
    ///
    /// As OCI's image specification has it, the account's supplementary groups go with the account's own group: who
    /// names a group gets that one alone.
    ///
    /// - Parameters:
    ///   - user: `root`, a number, a name, `/path` (the owner of that file), or `USER:GROUP` of these.
    ///   - group: The same for the group; nil for the user's own.
    ///   - openRoot: Opens the app's root file system; called only when it is needed.
    /// - Throws: ``RktError`` with `notFound` for a name that the image does not know, `invalidArgument` for a number
    ///   that is none, and what `openRoot` throws.
    init(user: String, group: String?, in openRoot: () throws -> Directory) throws {
        let parts = user.utf8.split(separator: Self.colon, maxSplits: 1, omittingEmptySubsequences: false)
        let userText = parts.first.map { String(Substring($0)) } ?? ""
        let groupText = group ?? (parts.count > 1 ? String(Substring(parts[1])) : nil)
        let isRoot = ["", "0", "root"].contains(userText)
        if isRoot, groupText.map({ ["0", "root"].contains($0) }) ?? true {
            self = .root
            return
        }
        let root = try openRoot()
        let account = isRoot ? Account(user: .root) : try Self.account(userText, in: root)
        self = account.user
        if let groupText {
            gid = try Self.group(groupText, in: root)
        } else if let name = account.name {
            supplementaryGroups = try Self.memberships(of: name, besides: gid, in: root)
        }
    }

    private init(uid: UInt32, gid: UInt32, name: String?, home: String?) {
        self.uid = uid
        self.gid = gid
        self.name = name
        self.home = home
    }

    /// A user, and the bytes that an account of the image is called by, if it has one.
    private struct Account {
        var user: AppUser
        var name: ArraySlice<UInt8>?
    }

    private static func account(_ text: String, in root: Directory) throws -> Account {
        if text.utf8.first == slash {
            let status = try withContext("failed to configure user \"\(text)\"") {
                try root.status(of: text)
            }
            return Account(user: AppUser(uid: status.uid, gid: status.gid, name: nil, home: nil))
        }
        let number = try identifier(text, what: "user")
        for fields in try records(of: "etc/passwd", fields: 7, in: root) {
            guard let uid = id(fields[2]), let gid = id(fields[3]) else { continue }
            guard number == uid || (number == nil && fields[0].elementsEqual(text.utf8)) else { continue }
            let user = AppUser(
                uid: uid,
                gid: gid,
                name: plainText(fields[0]),
                home: fields[5].first == slash ? plainText(fields[5]) : nil
            )
            return Account(user: user, name: fields[0])
        }
        guard let number else {
            throw RktError(.notFound, "failed to configure user \"\(text)\": \"\(text)\" user not found")
        }
        return Account(user: AppUser(uid: number, gid: 0, name: nil, home: nil))
    }

    private static func group(_ text: String, in root: Directory) throws -> UInt32 {
        if text == "root" { return 0 }
        if text.utf8.first == slash {
            return try withContext("failed to configure group \"\(text)\"") { try root.status(of: text) }.gid
        }
        if let number = try identifier(text, what: "group") { return number }
        for fields in try records(of: "etc/group", fields: 4, in: root) where fields[0].elementsEqual(text.utf8) {
            if let gid = id(fields[2]) { return gid }
        }
        throw RktError(.notFound, "failed to configure group \"\(text)\": \"\(text)\" group not found")
    }

    private static func memberships(
        of name: ArraySlice<UInt8>,
        besides gid: UInt32,
        in root: Directory
    ) throws
        -> [UInt32]
    {
        var found: Set<UInt32> = []
        for fields in try records(of: "etc/group", fields: 4, in: root) {
            guard let group = id(fields[2]), group != gid else { continue }
            if fields[3].split(separator: UInt8(ascii: ",")).contains(where: { $0.elementsEqual(name) }) {
                found.insert(group)
            }
        }
        return found.sorted()
    }

    /// A number, if the text is one; the two values that mean "no change" to the kernel are refused.
    private static func identifier(_ text: String, what: String) throws -> UInt32? {
        guard let first = text.utf8.first, first == UInt8(ascii: "-") || (48...57).contains(first) else { return nil }
        guard text.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt32(text), number < UInt32.max - 1
        else {
            if text.utf8.allSatisfy({ (48...57).contains($0) || $0 == UInt8(ascii: "-") }) {
                throw RktError(.invalidArgument, "failed to configure \(what) \"\(text)\": not a valid number")
            }
            return nil
        }
        return number
    }

    /// An account file's number; nil for what is none, and for the one that means "no change" to the kernel.
    private static func id(_ field: ArraySlice<UInt8>) -> UInt32? {
        guard field.allSatisfy({ (48...57).contains($0) }) else { return nil }
        return UInt32(String(decoding: field, as: UTF8.self)).flatMap { $0 == .max ? nil : $0 }
    }

    /// The lines of an account file that have so many fields; none when the image has no such file, or something else
    /// by its name. Bytes, not characters: in those a colon with a combining mark behind it would be another character.
    private static func records(
        of name: String,
        fields count: Int,
        in root: Directory
    ) throws
        -> some Sequence<[ArraySlice<UInt8>]>
    {
        var content: [UInt8] = []
        do {
            content = try root.read(name, limit: fileLimit)
        } catch let error as RktError where error.code == .notFound || error.code == .invalidData {}
        return content.split(separator: UInt8(ascii: "\n")).lazy
            .map { $0.split(separator: colon, omittingEmptySubsequences: false) }
            .filter { $0.count >= count }
    }

    private static let colon = UInt8(ascii: ":")
    private static let slash = UInt8(ascii: "/")

    /// The text that may become an environment variable; nil for control characters, which could forge a line
    /// elsewhere, and for what is not UTF-8.
    private static func plainText(_ field: ArraySlice<UInt8>) -> String? {
        guard !field.isEmpty, field.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else { return nil }
        return String(validating: field, as: UTF8.self)
    }
}
