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

    /// Resolves a user and a group (reference, 5.8).
    ///
    /// - Parameters:
    ///   - user: `root`, a number, a name, `/path` (the owner of that file), or `USER:GROUP` of these.
    ///   - group: The same for the group; nil for the user's own.
    ///   - openRoot: Opens the app's root file system; called only when it is needed.
    /// - Throws: ``RktError`` with `notFound` for a name that the image does not know, `invalidArgument` for a number
    ///   that is none, and what `openRoot` throws.
    init(user: String, group: String?, in openRoot: () throws -> Directory) throws {
        let parts = user.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let userText = parts.first ?? ""
        let groupText = group ?? (parts.count > 1 ? parts[1] : nil)
        let isRoot = ["", "0", "root"].contains(userText)
        if isRoot, groupText.map({ ["0", "root"].contains($0) }) ?? true {
            self = .root
            return
        }
        let root = try openRoot()
        self = isRoot ? .root : try Self.account(userText, in: root)
        if let groupText { gid = try Self.group(groupText, in: root) }
        if groupText == nil || isRoot == false, let name {
            supplementaryGroups = try Self.memberships(of: name, besides: gid, in: root)
        }
    }

    private init(uid: UInt32, gid: UInt32, name: String?, home: String?) {
        self.uid = uid
        self.gid = gid
        self.name = name
        self.home = home
    }

    private static func account(_ text: String, in root: Directory) throws -> AppUser {
        if text.hasPrefix("/") {
            let status = try withContext("failed to configure user \"\(text)\"") {
                try root.status(of: text)
            }
            return AppUser(uid: status.uid, gid: status.gid, name: nil, home: nil)
        }
        let number = try identifier(text, what: "user")
        for line in try lines(of: "etc/passwd", in: root) {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count >= 7, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else { continue }
            guard number == uid || (number == nil && fields[0] == text) else { continue }
            guard uid != .max, gid != .max else { continue }
            let home = fields[5].hasPrefix("/") && isPlain(fields[5]) ? fields[5] : nil
            return AppUser(uid: uid, gid: gid, name: isPlain(fields[0]) ? fields[0] : nil, home: home)
        }
        guard let number else {
            throw RktError(.notFound, "failed to configure user \"\(text)\": \"\(text)\" user not found")
        }
        return AppUser(uid: number, gid: 0, name: nil, home: nil)
    }

    private static func group(_ text: String, in root: Directory) throws -> UInt32 {
        if text == "root" { return 0 }
        if text.hasPrefix("/") {
            return try withContext("failed to configure group \"\(text)\"") { try root.status(of: text) }.gid
        }
        if let number = try identifier(text, what: "group") { return number }
        for fields in try groups(in: root) where fields.name == text { return fields.gid }
        throw RktError(.notFound, "failed to configure group \"\(text)\": \"\(text)\" group not found")
    }

    private static func memberships(of name: String, besides gid: UInt32, in root: Directory) throws -> [UInt32] {
        let found = try groups(in: root).filter { $0.members.contains(name) && $0.gid != gid }.map(\.gid)
        return Array(Set(found)).sorted()
    }

    private static func groups(in root: Directory) throws -> [(name: String, gid: UInt32, members: [String])] {
        try lines(of: "etc/group", in: root).compactMap { line in
            let fields = line.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard fields.count >= 4, let gid = UInt32(fields[2]), gid != .max else { return nil }
            return (fields[0], gid, fields[3].split(separator: ",").map(String.init))
        }
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

    /// The lines of an account file; none when the image has no such file, or something else by its name.
    private static func lines(of name: String, in root: Directory) throws -> [Substring] {
        do {
            return try root.readText(name, limit: fileLimit).split(whereSeparator: \.isNewline)
        } catch let error as RktError where error.code == .notFound || error.code == .invalidData {
            return []
        }
    }

    /// Whether a text may become an environment variable: control characters could forge a line elsewhere.
    private static func isPlain(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
    }
}
