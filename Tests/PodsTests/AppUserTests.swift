import Diagnostics
import Glibc
import ImageFixtures
import LinuxOS
@testable import Pods
import TestSupport
import Testing

@Suite struct AppUserTests {
    private let root: AccountRoot

    init() throws {
        root = try AccountRoot()
    }

    @Test(arguments: ["", "0", "root", "0:0", "root:root", "0:root", ":0", ":root"])
    func theSuperuserNeedsNoLookAtTheImage(text: String) throws {
        let user = try AppUser(user: text, group: nil) { throw RktError(.failed, "the image was looked at") }
        #expect(user == AppUser.root)
        #expect(user.home == "/root")
    }

    struct Account: Sendable, CustomTestStringConvertible {
        let text: String
        let uid: UInt32
        let gid: UInt32
        var groups: [UInt32] = []
        var name: String?
        var home: String?

        var testDescription: String { text }
    }

    @Test(
        arguments: [
            Account(text: "app", uid: 1000, gid: 1001, groups: [10, 2001], name: "app", home: "/home/app"),
            Account(text: "1000", uid: 1000, gid: 1001, groups: [10, 2001], name: "app", home: "/home/app"),
            // Who names a group has no other.
            Account(text: "app:extra", uid: 1000, gid: 2001, name: "app", home: "/home/app"),
            Account(text: "app:app", uid: 1000, gid: 1001, name: "app", home: "/home/app"),
            Account(text: "app:root", uid: 1000, gid: 0, name: "app", home: "/home/app"),
            Account(text: "1000:1000", uid: 1000, gid: 1000, name: "app", home: "/home/app"),
            Account(text: "5000", uid: 5000, gid: 0),
            Account(text: "5000:5001", uid: 5000, gid: 5001),
            Account(text: "5000:extra", uid: 5000, gid: 2001),
            Account(text: "0005000", uid: 5000, gid: 0),
            Account(text: "4294967293", uid: 4_294_967_293, gid: 0),
            Account(text: "root:extra", uid: 0, gid: 2001, name: "root", home: "/root"),
            Account(text: ":7", uid: 0, gid: 7, name: "root", home: "/root"),
            Account(text: "2b", uid: 1005, gid: 1005, name: "2b", home: "/"),
            // An account's name that is a number is not looked for by that name.
            Account(text: "7", uid: 7, gid: 0),
            Account(text: "nohome", uid: 1002, gid: 1002, name: "nohome"),
            Account(text: "control", uid: 1004, gid: 1004, name: "control"),
            Account(text: "last", uid: 1006, gid: 1006, name: "last", home: "/last"),
        ]
    )
    func namesAndNumbersAreLookedUpInTheImage(account: Account) throws {
        let user = try root.user(account.text)
        #expect(user.uid == account.uid)
        #expect(user.gid == account.gid)
        #expect(user.supplementaryGroups == account.groups)
        #expect(user.name == account.name)
        #expect(user.home == account.home)
    }

    @Test(
        arguments: [
            "nobody", " 1", "1 ", "1a", "+1", "0x0", "１", "short", "nonumber", "highest", "App", "app\0",
            "/missing", "/../outside", "/etc/missing/file",
        ]
    )
    func whoIsNotInTheImageIsNotFound(text: String) throws {
        try root.outside.writeInPlace("outside", "")
        let error = try failure { try root.user(text) }
        #expect(error.code == .notFound)
        #expect(error.description.hasPrefix("failed to configure user \"\(text)\": "))
    }

    @Test(
        arguments: ["", "nogroup", " 1", "1a", "badgroup", "maximum", "/missing", "a:b"]
    )
    func aGroupThatIsNotInTheImageIsNotFound(text: String) throws {
        let error = try failure { try root.user("app:\(text)") }
        #expect(error.code == .notFound)
        #expect(error.description.hasPrefix("failed to configure group \"\(text)\": "))
    }

    @Test(
        arguments: ["user", "group"],
        ["-1", "4294967294", "4294967295", "4294967296", "99999999999999999999", "-", "1-2"]
    )
    func aNumberThatIsNoIDIsRefused(what: String, number: String) throws {
        let error = try failure { try root.user(what == "user" ? number : "app:\(number)") }
        #expect(error.code == .invalidArgument)
        #expect(error.message == "failed to configure \(what) \"\(number)\": not a valid number")
    }

    @Test(arguments: [("app", "extra", 2001), ("app:app", "extra", 2001), ("", "extra", 2001), ("app", "12", 12)])
    func aGroupOfItsOwnWins(user: String, group: String, gid: UInt32) throws {
        let user = try AppUser(user: user, group: group) { try root.open() }
        #expect(user.gid == gid)
        #expect(user.supplementaryGroups == [])
    }

    @Test(.enabled(if: isRoot, "only root gives files away"))
    func aPathStandsForItsOwner() throws {
        try root.makeOwned("file", uid: 300, gid: 400)
        let user = try root.user("/file")
        #expect((user.uid, user.gid) == (300, 400))
        #expect(user.name == nil)
        #expect(try root.user("app:/file").gid == 400)
        // A link stands for itself: it is not followed.
        try root.directory.makeLink("link", to: "file")
        #expect(try root.user("/link").uid == 0)
    }

    // MARK: Account files that are not as usual

    @Test(arguments: ["../usr/accounts", "/usr/accounts", "../../../usr/accounts"])
    func aLinkIsFollowedWithinTheImage(target: String) throws {
        try root.replacePasswd { directory in
            try directory.makeLink("passwd", to: target)
        }
        try root.directory.ensureDirectory("usr").writeInPlace("accounts", "linked:x:44:45::/:/bin/sh\n")
        #expect(try root.user("linked").uid == 44)
    }

    @Test(arguments: ["../../outside", "/../outside"])
    func aLinkDoesNotLeadOutOfTheImage(target: String) throws {
        try root.outside.writeInPlace("outside", "linked:x:44:45::/:/bin/sh\n")
        try root.replacePasswd { try $0.makeLink("passwd", to: target) }
        #expect(try failure { try root.user("linked") }.code == .notFound)
    }

    @Test(.timeLimit(.minutes(10)), arguments: ["pipe", "link to a pipe", "directory", "nothing"])
    func whatIsNoFileHasNoAccounts(kind: String) throws {
        try root.replacePasswd { directory in
            switch kind {
            case "pipe": try directory.makePipe("passwd", mode: 0o644)
            case "link to a pipe":
                try directory.makePipe("pipe", mode: 0o644)
                try directory.makeLink("passwd", to: "pipe")
            case "directory": try directory.makeDirectory("passwd")
            default: break
            }
        }
        #expect(try failure { try root.user("app") }.code == .notFound)
        #expect(try root.user("1000").gid == 0)
    }

    @Test func aFileThatIsTooLargeIsAnErrorNotAMissingAccount() throws {
        let filler = String(repeating: "#", count: AppUser.fileLimit)
        try root.replacePasswd { try $0.writeInPlace("passwd", "app:x:1000:1000::/:/bin/sh\n\(filler)") }
        let error = try failure { try root.user("app") }
        #expect(error.code == .limitExceeded)
        #expect(error.description.contains("etc/passwd is larger than \(AppUser.fileLimit) bytes"))
    }

    @Test func aGroupFileThatIsTooLargeIsAnErrorToo() throws {
        let filler = String(repeating: "#", count: AppUser.fileLimit)
        try root.directory.directory("etc").writeInPlace("group", "\(AccountRoot.group)\n\(filler)")
        for text in ["app", "app:extra"] { #expect(try failure { try root.user(text) }.code == .limitExceeded) }
        // Whoever needs no group's name does not read it.
        #expect(try root.user("app:7").gid == 7)
    }

    /// In each, a combining mark stands where it would be one character with a separator.
    @Test func separatorsAreBytesWhateverFollows() throws {
        let mark = "\u{301}"
        try root.directory.directory("etc").writeInPlace(
            "group",
            "app:x:\(mark)\nmine:\(mark)x:30:b,\(mark)m,app\nb:x:31:\(mark)m"
        )
        try root.replacePasswd {
            try $0.writeInPlace("passwd", "app:\(mark)x:9:8:\(mark)gecos:/home:\(mark)/bin/sh\n\(mark)m:x:10:11:::")
        }
        let app = try root.user("app")
        #expect((app.uid, app.gid, app.home) == (9, 8, "/home"))
        #expect(app.supplementaryGroups == [30])
        #expect(try root.user("\(mark)m").supplementaryGroups == [30, 31])
        #expect(try root.user("app:mine").gid == 30)
        let error = try failure { try root.user("app:\(mark)m") }
        #expect(error.description == "failed to configure group \"\(mark)m\": \"\(mark)m\" group not found")
    }

    @Test func namesAreBytesAndNotWhatTheyLookLike() throws {
        let composed = "caf\u{E9}"
        let decomposed = "cafe\u{301}"
        try root.replacePasswd { try $0.writeInPlace("passwd", "\(composed):x:50:50::/:\n") }
        try root.directory.directory("etc").writeInPlace("group", "\(composed):x:60:\(decomposed)\n")
        #expect(try root.user(composed).uid == 50)
        #expect(try root.user(composed).supplementaryGroups == [])
        #expect(try failure { try root.user(decomposed) }.code == .notFound)
        #expect(try failure { try root.user("0:\(decomposed)") }.code == .notFound)
    }

    /// What ends a line for people does not for passwd(5).
    @Test func onlyALineFeedEndsALine() throws {
        for character in ["\u{2028}", "\u{85}", "\u{B}", "\u{C}", "\r"] {
            try root.replacePasswd { try $0.writeInPlace("passwd", "a:x:1:1:\(character)app:x:9:9::/:\n") }
            #expect(try failure { try root.user("app") }.code == .notFound)
        }
    }

    @Test(arguments: ["+9", "-9", " 9", "", "4294967296", "0x9", "９"])
    func anIDThatIsNoNumberIsNoAccount(id: String) throws {
        try root.replacePasswd { try $0.writeInPlace("passwd", "app:x:\(id):9::/:\nother:x:9:\(id)::/:\n") }
        for text in ["app", "other"] { #expect(try failure { try root.user(text) }.code == .notFound) }
    }

    @Test func aNameThatIsNoTextIsNotInTheEnvironmentButHasItsGroups() throws {
        try root.replacePasswd {
            try $0.writeInPlace("passwd", [0xFF] + Array(":x:9:9::/\u{E9}".utf8) + [0xFE, 58, 10])
        }
        try root.directory.directory("etc").writeInPlace("group", Array("g:x:70:app,".utf8) + [0xFF, 10])
        let user = try root.user("9")
        #expect(user.name == nil)
        #expect(user.home == nil)
        #expect(user.supplementaryGroups == [70])
    }

    @Test func bytesThatAreNoTextDoNotHideTheOthers() throws {
        let bytes = Array("a\u{0}b:x:1:1::/:\n".utf8) + [0xFF, 0xFE, 10] + Array("app:x:9:9::/:".utf8)
        try root.replacePasswd { try $0.writeInPlace("passwd", bytes) }
        #expect(try root.user("app").uid == 9)
    }
}

/// An app's root file system with accounts in it.
struct AccountRoot {
    /// The root.
    let directory: Directory
    /// The directory it is in.
    let outside: Directory
    private let temporary: TemporaryDirectory

    init() throws {
        temporary = try TemporaryDirectory()
        outside = try temporary.open()
        directory = try outside.ensureDirectory("root")
        let etc = try directory.ensureDirectory("etc")
        try etc.writeInPlace("passwd", Self.passwd)
        try etc.writeInPlace("group", Self.group)
    }

    /// The last line of both has no end.
    static let passwd = """
        root:x:0:0:root:/root:/bin/sh
        # app:x:1:1:a comment:/:/bin/sh

        short:x:1003
        nonumber:x:abc:0::/:/bin/sh
        highest:x:4294967295:0::/:/bin/sh
        app:x:1000:1001:An app:/home/app:/bin/sh
        app:x:1:1:a second of that name:/:/bin/sh
        nohome:x:1002:1002::relative:/bin/sh
        control:x:1004:1004::/home/\u{1B}[2J:/bin/sh
        2b:x:1005:1005::/:/bin/sh
        7:x:1007:1007::/:/bin/sh
        last:x:1006:1006::/last:/bin/sh
        """

    static let group = """
        root:x:0:
        app:x:1001:
        extra:x:2001:other,app
        again:x:2001:app
        own:x:1001:app
        wheel:x:10:root,app
        badgroup:x:abc:app
        maximum:x:4294967295:app
        another:x:3000:apps
        """

    func open() throws -> Directory { try Directory(path: directory.path) }

    func user(_ text: String) throws -> AppUser {
        try AppUser(user: text, group: nil) { try open() }
    }

    /// Puts something else in the place of the account file.
    func replacePasswd(_ make: (Directory) throws -> Void) throws {
        let etc = try directory.directory("etc")
        try etc.remove("passwd")
        try make(etc)
    }

    func makeOwned(_ name: String, uid: UInt32, gid: UInt32) throws {
        try directory.writeInPlace(name, "")
        let parent = directory.descriptor.rawValue
        try system("giving \(name) away") { fchownat(parent, name, uid, gid, 0) }
    }
}
